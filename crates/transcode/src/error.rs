//! Why a descriptor set cannot be served over HTTP.

use crate::Conflict;

/// What is wrong with a descriptor set or its `google.api.http` rules.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no descriptor set.
    #[error("failed to read the descriptor set")]
    Descriptors(#[source] prost_reflect::DescriptorError),
    /// A method whose name cannot stand in a path.
    #[error("failed to make a path of the method {name}")]
    Name {
        /// The method.
        name: String,
    },
    /// A rule without a method and path.
    #[error("failed to read the HTTP rule of {method}: it has no pattern")]
    Pattern {
        /// The method.
        method: String,
    },
    /// A path template that cannot be parsed.
    #[error("failed to read the path template {template} of {method}: it {problem}")]
    Template {
        /// The method.
        method: String,
        /// The template.
        template: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A rule or option that names a field which is not there, or cannot be bound.
    #[error("failed to bind the field {field:?} of {method}: there is no such singular field")]
    Field {
        /// The method.
        method: String,
        /// The field.
        field: String,
    },
    /// A client stream whose messages would come from nowhere.
    #[error(
        "failed to read the HTTP rule of {method}: a client stream has its messages in its body, and there is none"
    )]
    Body {
        /// The method.
        method: String,
    },
    /// Rules of the same HTTP method match the same paths.
    #[error("failed to tell routes apart: {}", conflicts.join("; "))]
    Conflicts {
        /// All of them: two routes each.
        conflicts: Vec<String>,
    },
}

impl Error {
    pub(crate) fn conflicts(conflicts: &[Conflict]) -> Self {
        let told = |conflict: &Conflict| format!("{} and {}", conflict.served.told(), conflict.refused.told());
        Error::Conflicts { conflicts: conflicts.iter().map(told).collect() }
    }
}
