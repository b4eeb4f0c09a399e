//! PostgreSQL, set up by `deploy/postgres`.

use super::member::{Member, POSTGRES};
use super::place::Place;
use super::process::Process;
use super::{secret, wait};
use crate::command::{Failed, command, workspace};
use crate::servers;
use programs::{Program, Unprivileged};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Who looks after the server.
const SUPERUSER: &str = "postgres";
/// The files of `deploy/postgres` that the server reads; its user may not be able to read those of the workspace.
const SETTINGS: [&str; 2] = ["postgresql.conf", "pg_hba.conf"];
/// Whose passwords `deploy/postgres/databases.sql` sets.
pub(super) const ROLES: [&str; 4] = ["order", "consumer", "restaurant", "relay"];

/// Starts the server if it does not run, and brings its databases and roles about.
pub(super) fn up(place: &Place) -> Result<(), Failed> {
    servers::found(Program::Postgres("postgres"))?;
    if Process::of(place, Member::Postgres).is_none() {
        start(place)?;
    }
    make_databases(place)
}

fn start(place: &Place) -> Result<(), Failed> {
    wait::refuse_taken(Member::Postgres, &[POSTGRES])?;
    let folder = place.postgres()?;
    let data = folder.join("data");
    if !data.join("PG_VERSION").is_file() {
        make_data(place, &folder, &data)?;
    }
    // A server that was killed leaves processes behind that end when they notice, and none is started beside them.
    if !wait::until(wait::READY_WITHIN, || !is_used(&data)) {
        return Err(Failed::because(format!("processes of an earlier server still use {}", data.display())));
    }
    let mut server = as_somebody("postgres")?;
    server.arg("-D").arg(&data).args(["-h", &POSTGRES.ip().to_string(), "-p", &POSTGRES.port().to_string()]);
    // Its path could be longer than a socket's may be.
    server.args(["-c", "unix_socket_directories="]);
    for (setting, name) in ["config_file", "hba_file"].into_iter().zip(SETTINGS) {
        server.arg("-c").arg(format!("{setting}={}", copy(name, &folder)?.display()));
    }
    let process = Process::start(place, Member::Postgres, server)?;
    process.wait(place, Member::Postgres, is_ready)
}

pub(super) fn is_ready() -> bool {
    let mut ask = Command::new(Program::Postgres("pg_isready").path());
    ask.args([
        "-q",
        "-h",
        &POSTGRES.ip().to_string(),
        "-p",
        &POSTGRES.port().to_string(),
        "-U",
        SUPERUSER,
        "-d",
        "postgres",
    ]);
    ask.stdin(Stdio::null());
    ask.status().is_ok_and(|status| status.success())
}

/// Whether a process works in this folder, as all those of a server do in that of its data.
fn is_used(data: &Path) -> bool {
    let (Ok(data), Ok(processes)) = (data.canonicalize(), fs::read_dir("/proc")) else { return false };
    processes.filter_map(Result::ok).any(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|it| it == data))
}

fn make_data(place: &Place, folder: &Path, data: &Path) -> Result<(), Failed> {
    let password = folder.join("password");
    fs::write(&password, secret::at(&place.secrets("postgres").join(SUPERUSER))?)
        .and_then(|()| Unprivileged::instead_of_root().map_or(Ok(()), |it| it.own(&password)))
        .map_err(|error| Failed::to(format!("write {}", password.display()), error))?;
    let mut initdb = as_somebody("initdb")?;
    initdb.arg("-D").arg(data).arg("--pwfile").arg(&password);
    initdb.args(["-U", SUPERUSER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C"]);
    let made = command(initdb).in_folder(folder).ask();
    fs::remove_file(&password).map_err(|error| Failed::to(format!("remove {}", password.display()), error))?;
    made.map(|_| ())
}

/// Gives the server a file of `deploy/postgres`.
fn copy(name: &str, folder: &Path) -> Result<PathBuf, Failed> {
    let (from, to) = (workspace().join("deploy/postgres").join(name), folder.join(name));
    fs::copy(&from, &to)
        .and_then(|_| Unprivileged::instead_of_root().map_or(Ok(()), |it| it.own(&to)))
        .map_err(|error| Failed::to(format!("copy {} to {}", from.display(), to.display()), error))?;
    Ok(to)
}

fn make_databases(place: &Place) -> Result<(), Failed> {
    let mut psql = Command::new(Program::Postgres("psql").path());
    psql.args(["-X", "-q", "-h", &POSTGRES.ip().to_string(), "-p", &POSTGRES.port().to_string(), "-U", SUPERUSER]);
    psql.args(["--file", "deploy/postgres/databases.sql", "postgres"]);
    let secrets = place.secrets("postgres");
    psql.env("PGPASSWORD", secret::at(&secrets.join(SUPERUSER))?);
    for role in ROLES {
        psql.env(format!("POSTGRES_{}_PASSWORD", role.to_uppercase()), secret::at(&secrets.join(role))?);
    }
    command(psql).ask().map(|_| ())
}

fn as_somebody(name: &'static str) -> Result<Command, Failed> {
    let program = Program::Postgres(name);
    let found = program.find().ok_or_else(|| Failed::because(program.missing()))?;
    Ok(Unprivileged::command(Unprivileged::instead_of_root(), &found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_of_the_script_gets_a_password() {
        let text = fs::read_to_string(workspace().join("deploy/postgres/databases.sql")).unwrap();

        let mut wanted: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("\\getenv password ")).collect();
        let mut given = ROLES.map(|role| format!("POSTGRES_{}_PASSWORD", role.to_uppercase()));

        wanted.sort_unstable();
        given.sort_unstable();
        assert_eq!(wanted, given);
    }
}
