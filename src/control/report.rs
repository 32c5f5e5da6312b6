//! The answers of a bridge as texts for people.

mod explanation;
mod sessions;
mod status;
mod table;
mod words;

pub use self::explanation::{explanation, fate};
pub use self::sessions::sessions;
pub use self::status::{channel_state, status};
pub use self::table::Table;
pub use self::words::{duration, names_of, one_line, size, time_of_day};
