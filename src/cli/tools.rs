//! The commands that look at running bridges and steer them, by their control sockets.

pub(super) mod args;
mod bridges;
mod events;
mod logs;
mod orders;
mod restart;
mod sight;
mod top;

use std::process::ExitCode;

use self::args::Tool;
use self::bridges::Failure;
pub(super) use self::bridges::socket_of_connect;
use super::exit_code::UNUSABLE;
use super::print::failure;

/// Runs a command.
pub(super) fn run(tool: Tool) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return failure(&format_args!("no command can be run: {error}"), UNUSABLE),
    };
    let done = runtime.block_on(async {
        match tool {
            Tool::Status(args) => sight::status(args).await,
            Tool::Sessions(args) => sight::sessions(args).await,
            Tool::Metrics(which) => sight::metrics(which).await,
            Tool::Ls(args) => sight::ls(args).await,
            Tool::Logs(args) => logs::logs(args).await,
            Tool::Close(args) => orders::close(args).await,
            Tool::Cancel(args) => orders::cancel(args).await,
            Tool::Retire(args) => orders::retire(args).await,
            Tool::Stop(args) => orders::stop(args).await,
            Tool::Restart(args) => restart::restart(args).await,
            Tool::Events(args) => events::events(args).await,
            Tool::Top(args) => top::top(args).await,
        }
    });
    done.unwrap_or_else(Failure::exit)
}
