//! The configuration of a bridge.

use serde::{Deserialize, Serialize};

/// The value of one option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigValue {
    /// The name of the option, as in the configuration file.
    pub name: String,
    /// Its value, as a person writes it.
    pub value: String,
    /// Where it comes from: a flag, a variable, a file, or the default.
    pub origin: String,
}
