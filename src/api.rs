//! The words of the control API: what a bridge says about itself, and what it can be asked to do.
//!
//! Every type is a structure for serde. The core fills in what its books know, the runtime what the
//! system knows; commands print it, and `docs/control.md` describes it. In JSON the names of
//! fields are written `likeThis`, words of enums `like_this`; a time is a whole number of
//! milliseconds, counted from the moment of the answer; a size is a number of bytes.
//!
//! Nothing here holds a message, a variable's value or an argument of an agent.

mod channel;
mod client;
mod config;
mod counts;
mod event;
mod explanation;
mod fate;
mod fault;
mod order;
mod session;
mod status;

pub use self::channel::{ChannelState, ChannelStatus, Rung, Tree};
pub use self::client::{ClientStatus, Program};
pub use self::config::ConfigValue;
pub use self::counts::Counts;
pub use self::event::{BridgeEvent, Happening, TurnEnd};
pub use self::explanation::{Explanation, Keep, RequestStage, RequestStatus, TreeProcess};
pub use self::fate::Fate;
pub use self::fault::{Fault, FaultData, FaultKind};
pub use self::order::{Cancelled, Closed, Retirement, Stop, Stopped, StoppedHow, Unfinished};
pub use self::session::{QuestionStatus, SessionState, SessionStatus, Sessions};
pub use self::status::{AgentStatus, BridgeMode, BridgeStatus, Saving, Status};
