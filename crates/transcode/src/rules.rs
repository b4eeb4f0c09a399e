//! The HTTP rules of a descriptor set, each compiled once and shared by whatever transcoders serve it.

use crate::dialect::{Dialect, EnumNames, Unknown};
use crate::plan::Plans;
use crate::rule::{Route, Rpc, rules};
use crate::status::Statuses;
use crate::{Config, Error};
use http::Method;
use prost_reflect::{DescriptorPool, MethodDescriptor};
use std::sync::Arc;

/// One HTTP rule of a method, compiled. Clones share it.
#[derive(Debug, Clone)]
pub struct Rule(pub(crate) Arc<Route>);

/// What became of the rules of a descriptor set.
#[derive(Debug, Default)]
pub struct Rules {
    /// Those that can be kept, in the order of the files, of the services in a file and of their methods.
    pub kept: Vec<Rule>,
    /// What is wrong with the others.
    pub refused: Vec<Error>,
}

impl Rule {
    /// The HTTP method.
    #[must_use]
    pub fn http_method(&self) -> &Method {
        &self.0.method
    }

    /// The path template, as it was written.
    #[must_use]
    pub fn template(&self) -> &str {
        &self.0.path
    }

    /// What it calls: `package.Service/Method`.
    #[must_use]
    pub fn rpc(&self) -> &str {
        &self.0.rpc.name
    }

    /// The rule in words.
    #[must_use]
    pub fn told(&self) -> String {
        format!("{} {} of {}", self.0.method, self.0.path, self.0.rpc.name)
    }
}

impl Rules {
    /// Compiles the rules of a pool. What a rule that cannot be kept would have served is not served; the others are not concerned.
    #[must_use]
    pub fn of(pool: &DescriptorPool, dialect: impl Fn(&str) -> Dialect) -> Self {
        let plans = Plans::new(pool, |service| dialect(service).enum_names);
        let statuses = Arc::new(Statuses::new(pool.clone()));
        let mut compiled = Rules::default();
        for service in pool.services() {
            let dialect = dialect(service.full_name());
            for method in service.methods() {
                compiled.add(&method, &plans, &statuses, dialect);
            }
        }
        compiled
    }

    /// What the configuration says of a service's JSON.
    pub(crate) fn dialect(config: &Config) -> impl Fn(&str) -> Dialect {
        |service| Dialect {
            unknown: if config.lenient_services.contains(service) { Unknown::Ignored } else { Unknown::Refused },
            enum_names: if config.short_enum_services.contains(service) { EnumNames::Short } else { EnumNames::Whole },
        }
    }

    fn add(&mut self, method: &MethodDescriptor, plans: &Plans, statuses: &Arc<Statuses>, dialect: Dialect) {
        let rules = rules(method);
        if rules.is_empty() {
            return;
        }
        let rpc = match Rpc::new(method.clone(), plans, statuses.clone(), dialect) {
            Ok(rpc) => Arc::new(rpc),
            Err(error) => return self.refused.push(error),
        };
        for rule in rules {
            match Route::new(&rpc, &rule) {
                Ok(route) => self.kept.push(Rule(Arc::new(route))),
                Err(error) => self.refused.push(error),
            }
        }
    }
}
