//! Where settings come from: a file, then the environment, then flags.

mod bus;
mod places;
mod rpc;
mod stores;

pub(crate) use self::bus::{BusConfig, BusKind};
pub(crate) use self::places::{Place, Presence, Upstreams, parse as parse_place, service_name};
pub(crate) use self::rpc::RpcConfig;
pub(crate) use self::stores::{StoreKind, Stores};

use crate::cli::UpOptions;
use crate::{Error, Role};
use ::rpc::client::ClientConfig;
use discovery::ConsulConfig;
use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use store::Dialect;

/// All settings. Times are in milliseconds. In the environment `order.outbox.poll_ms` is `COMANDA_ORDER__OUTBOX__POLL_MS`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where clients reach the gateway. 127.0.0.1:8080: nobody else, until somebody decides so. Port 0: any that is free.
    pub listen: SocketAddr,
    /// Where operators reach this process. 127.0.0.1:9090: never public.
    pub admin_listen: SocketAddr,
    /// Where data is kept that is kept in files; one process at a time.
    pub data_dir: PathBuf,
    /// Which roles run.
    pub roles: Vec<Role>,
    /// Whether an empty platform gets a restaurant and two consumers.
    pub sample_data: bool,
    /// How long a role may take to finish what it has begun. 10,000: as long as the longest call.
    pub drain_ms: u64,
    /// Databases.
    pub stores: Stores,
    /// Channels.
    pub bus: BusConfig,
    /// What this process serves to others.
    pub rpc: RpcConfig,
    /// Where the services of other processes are.
    pub upstreams: Upstreams,
    /// How other services are called.
    pub client: ClientConfig,
    /// The agents of Consul. None: it is not used.
    pub consul: Option<ConsulConfig>,
    /// How this process lets itself be found.
    pub presence: Presence,
    /// The relay role.
    pub relay: outbox::Config,
    /// Log lines.
    pub log: telemetry::log::Config,
    /// The gateway.
    pub gateway: gateway::Config,
    /// The Order Service.
    pub order: order::Config,
    /// The Consumer Service.
    pub consumer: consumer::Config,
    /// The Restaurant Service.
    pub restaurant: restaurant::Config,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            admin_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9090)),
            data_dir: PathBuf::from("data"),
            roles: Role::PLATFORM.to_vec(),
            sample_data: false,
            drain_ms: 10_000,
            stores: Stores::default(),
            bus: BusConfig::default(),
            rpc: RpcConfig::default(),
            upstreams: Upstreams::default(),
            client: ClientConfig::default(),
            consul: None,
            presence: Presence::default(),
            relay: outbox::Config::default(),
            log: telemetry::log::Config::default(),
            gateway: gateway::Config::default(),
            order: order::Config::default(),
            consumer: consumer::Config::default(),
            restaurant: restaurant::Config::default(),
        }
    }
}

impl Config {
    /// Whether the gateway serves Comanda's own contract.
    pub(crate) fn serves_contract(&self) -> bool {
        let knows_comanda =
            || self.roles != [Role::Gateway] || self.consul.is_some() || self.upstreams != Upstreams::default();
        self.gateway.builtin.unwrap_or_else(knows_comanda)
    }

    /// Whether this process is a gateway for foreign services and nothing else: it has no channels and no databases.
    pub(crate) fn is_bare_gateway(&self) -> bool {
        self.roles == [Role::Gateway] && !self.serves_contract()
    }

    /// Looks whether every foreign service is somewhere.
    fn check_services(&self) -> Result<(), Error> {
        let mut services = self.gateway.services.iter();
        let wrong = services.find(|(_, service)| parse_place(&service.from).is_none());
        match wrong {
            Some((name, service)) => Err(Error::Service { name: name.clone(), place: service.from.clone() }),
            None => Ok(()),
        }
    }

    /// Looks whether the public port would be opened as it is set.
    pub(crate) fn check_port(&self) -> Result<(), Error> {
        if !self.roles.contains(&Role::Gateway) {
            return Ok(());
        }
        self.gateway.check(self.listen).map(drop).map_err(Error::Port)
    }

    /// Whether anything is kept in files of `data_dir`.
    pub(crate) fn keeps_files(&self) -> bool {
        !self.is_bare_gateway() && self.is_on_files()
    }

    fn is_on_files(&self) -> bool {
        self.stores.kind == StoreKind::Sqlite || self.bus.kind == BusKind::Embedded
    }

    /// Where data is kept, in words.
    pub(crate) fn data(&self) -> String {
        if self.is_bare_gateway() {
            return "none is kept".to_owned();
        }
        let stores = match self.stores.kind {
            StoreKind::Sqlite => self.data_dir.display().to_string(),
            StoreKind::Postgres => "PostgreSQL".to_owned(),
        };
        match self.bus.kind {
            BusKind::Embedded if self.stores.kind == StoreKind::Sqlite => stores,
            BusKind::Embedded => format!("{stores}, channels in {}", self.data_dir.display()),
            BusKind::JetStream => format!("{stores}, channels in NATS JetStream"),
        }
    }

    /// Looks whether every relay can publish as it is told to.
    fn check_publishers(&self) -> Result<(), Error> {
        let dialect = match self.stores.kind {
            StoreKind::Sqlite => Dialect::Sqlite,
            StoreKind::Postgres => Dialect::Postgres,
        };
        let outboxes = [
            ("relay", &self.relay),
            ("order.outbox", &self.order.outbox),
            ("consumer.outbox", &self.consumer.outbox),
            ("restaurant.outbox", &self.restaurant.outbox),
        ];
        outboxes.into_iter().try_for_each(|(section, outbox)| {
            outbox.fits(dialect).map_err(|source| Error::Publisher { section, source })
        })
    }

    /// The settings as a file that [`load`] reads.
    pub(crate) fn to_toml(&self) -> Result<String, Error> {
        toml::to_string_pretty(self).map_err(Error::PrintConfig)
    }
}

/// What a process was started with.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) file: Option<PathBuf>,
    pub(crate) flags: UpOptions,
}

impl Source {
    /// Reads the settings as they are now.
    pub(crate) fn load(&self) -> Result<Config, Error> {
        load(self.file.as_deref(), &self.flags)
    }
}

/// Reads the settings; later sources win: defaults, file, environment, flags.
pub(crate) fn load(file: Option<&Path>, flags: &UpOptions) -> Result<Config, Error> {
    if let Some(path) = file.filter(|path| !path.is_file()) {
        return Err(Error::NoConfigFile(path.to_owned()));
    }
    // COMANDA_TEST_... tells tests where their servers are, and is no setting.
    let environment = Env::prefixed("COMANDA_").filter(|key| !key.starts_with("test_")).split("__");
    let mut figment = Figment::from(Serialized::defaults(Config::default()));
    if let Some(path) = file {
        figment = figment.merge(Toml::file_exact(path));
    }
    let config: Config = figment
        .merge(environment)
        .merge(Serialized::defaults(flags))
        .extract()
        .map_err(|source| Error::Config(Box::new(source)))?;
    if config.roles.is_empty() {
        return Err(Error::NoRoles);
    }
    config.check_publishers()?;
    config.check_services()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_that_are_printed_can_be_read_back() {
        let printed = Config::default().to_toml().unwrap();

        assert_eq!(toml::from_str::<Config>(&printed).unwrap(), Config::default());
    }

    #[test]
    fn a_gateway_that_knows_nothing_of_comanda_serves_others_only() {
        let config = |text: &str| toml::from_str::<Config>(&format!("roles = [\"gateway\"]\n{text}")).unwrap();

        assert!(config("").is_bare_gateway());
        assert!(config("[consul]\n[gateway]\nbuiltin = false").is_bare_gateway());
        for knows in ["[consul]", "[upstreams]\norder = \"http://127.0.0.1:1\"", "[gateway]\nbuiltin = true"] {
            assert!(config(knows).serves_contract(), "{knows}");
        }
        assert!(Config::default().serves_contract());
    }

    #[test]
    fn a_foreign_service_that_is_nowhere_is_named() {
        let config = toml::from_str::<Config>("[gateway.services.kitchen]\nfrom = \"127.0.0.1:1\"").unwrap();

        let error = config.check_services().unwrap_err().to_string();
        assert!(error.starts_with("gateway.services.kitchen.from is \"127.0.0.1:1\""), "{error}");
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let error = toml::from_str::<Config>("data_directory = \"x\"").unwrap_err().to_string();

        assert!(error.contains("unknown field `data_directory`"), "{error}");
    }

    #[test]
    fn every_file_in_deploy_is_valid() {
        let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/embedded/comanda.toml"));

        assert_eq!(load(Some(file), &UpOptions::default()).unwrap().data_dir, PathBuf::from("/var/lib/comanda"));
        for example in ["gateway.toml", "gateway-consul.toml"] {
            let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/examples/library"));
            let flags = UpOptions { roles: Some(vec![Role::Gateway]), ..UpOptions::default() };
            assert!(load(Some(&folder.join(example)), &flags).unwrap().is_bare_gateway(), "{example}");
        }
    }

    #[test]
    fn a_log_that_sqlite_does_not_have_is_refused() {
        let mut config = Config::default();
        config.order.outbox.publisher = outbox::Publisher::Tailing;

        assert_eq!(config.check_publishers().unwrap_err().to_string(), "order.outbox is not valid");
        config.stores.kind = StoreKind::Postgres;
        config.check_publishers().unwrap();
    }

    #[test]
    fn flags_go_before_everything() {
        let flags = UpOptions { data_dir: Some("elsewhere".into()), ..UpOptions::default() };

        assert_eq!(load(None, &flags).unwrap().data_dir, PathBuf::from("elsewhere"));
    }
}
