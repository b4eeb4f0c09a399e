//! The growth of a schema.

use super::connection::{Connection, Purpose, answer, statement_error};
use super::target::Target;
use crate::error::Source;
use crate::{Error, Migration, Statement};

/// Held while a step is applied, so that processes that start together do not apply it twice. Any number that others do not use.
const LOCK: &str = "SELECT pg_advisory_xact_lock(6047290311)";
const TABLE: &str = "CREATE TABLE IF NOT EXISTS schema_migration (
    component TEXT NOT NULL, version BIGINT NOT NULL, name TEXT NOT NULL, PRIMARY KEY (component, version))";
const ADD: &str = "INSERT INTO schema_migration (component, version, name) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";

/// Brings the schema of one component up to date.
pub(super) async fn migrate(target: &Target, component: &'static str, migrations: &[Migration]) -> Result<(), Error> {
    let mut line = Connection::open(target, Purpose::Migrate).await?;
    begin(&line).await?;
    answer(line.say(TABLE).await).await?;
    answer(line.say("COMMIT").await).await?;
    for migration in migrations {
        let failed = |source: Source| Error::Migrate { component, version: migration.version, source };
        let Some(sql) = migration.postgres else { return Err(failed("it is for SQLite only".into())) };
        let add = Statement::new(ADD).bind(component).bind(migration.version).bind(migration.name);
        line.prepare(&add).await?;
        begin(&line).await?;
        if answer(line.execute(&add).await).await? == 1 {
            line.run(sql).await.map_err(|error| match statement_error("a migration", error) {
                Error::Statement { is_transient: false, source, .. } => failed(source),
                away => away,
            })?;
        }
        answer(line.say("COMMIT").await).await?;
    }
    Ok(())
}

async fn begin(line: &Connection) -> Result<(), Error> {
    answer(line.say("BEGIN").await).await?;
    answer(line.say(LOCK).await).await
}
