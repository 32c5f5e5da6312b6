//! Two readers on one thread, and a loop that serves their batches.

use std::fs::File;
use std::io::{self, Write};
use std::rc::Rc;

use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::*;
use crate::bridge::ChannelId;
use crate::runtime::children::exit::ExitPart;
use crate::runtime::flow::{Crowd, Flow, LONGEST_BATCH, Reader};
use crate::runtime::input::Input;
use crate::runtime::outbox::{Outbox, OutboxSum};
use crate::runtime::stdio::Source;

const FLOODING: ChannelId = ChannelId(1);
const QUIET: ChannelId = ChannelId(2);
const LINE: &[u8] = b"{\"jsonrpc\":\"2.0\",\"method\":\"some/notification\"}\n";

/// The readers of two channels.
struct Readers {
    crowd: Crowd,
    to_loop: mpsc::UnboundedSender<Input>,
    inputs: mpsc::UnboundedReceiver<Input>,
    tasks: JoinSet<()>,
}

impl Readers {
    fn new() -> Readers {
        #[allow(clippy::disallowed_methods)] // as in the loop
        let (to_loop, inputs) = mpsc::unbounded_channel();
        Readers { crowd: Crowd::default(), to_loop, inputs, tasks: JoinSet::new() }
    }

    /// Starts the reader of a channel, and returns the end of the pipe that the agent writes to.
    fn start(&mut self, channel: ChannelId) -> io::Result<File> {
        let (reader, writer) = nix::unistd::pipe()?;
        let outbox = Outbox::new(1 << 20, Rc::new(Notify::new()), OutboxSum::new(usize::MAX));
        let reader = Reader {
            source: Source::of_pipe(reader)?,
            limit: 1 << 20,
            to: self.to_loop.clone(),
            flow: Flow::new(outbox, self.crowd.clone()),
        };
        let wrap = move |batch| Input::FromChannel(channel, batch);
        let ended = move |half_line| Input::PartDone(channel, ExitPart::Stdout, half_line);
        self.tasks.spawn_local(reader.run(wrap, ended));
        Ok(writer.into())
    }

    /// Serves the next batch, and returns its channel and the number of its lines.
    async fn serve(&mut self) -> (ChannelId, usize) {
        let Some(Input::FromChannel(channel, batch)) = self.inputs.recv().await else {
            panic!("a batch is there");
        };
        let mut lines = 0;
        batch.serve(|_| lines += 1);
        (channel, lines)
    }
}

fn on_one_thread(test: impl Future<Output = io::Result<()>> + 'static) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(runtime.spawn_local(test))?
}

/// Two readers; one is in the middle of a flood of 1000 lines, and the other has nothing.
async fn flood() -> io::Result<(Readers, File, File)> {
    let mut readers = Readers::new();
    let (mut flooding, quiet) = (readers.start(FLOODING)?, readers.start(QUIET)?);
    flooding.write_all(&LINE.repeat(1_000))?;
    assert_eq!(readers.serve().await, (FLOODING, LONGEST_BATCH));
    Ok((readers, flooding, quiet))
}

#[test]
fn a_line_and_its_answer_are_served_before_the_next_batch_of_a_flood() -> io::Result<()> {
    on_one_thread(async {
        let (mut readers, _flooding, mut quiet) = flood().await?;
        for _ in 0..5 {
            for _ in ["a line", "its answer"] {
                quiet.write_all(LINE)?;
                assert_eq!(readers.serve().await, (QUIET, 1));
            }
            assert_eq!(readers.serve().await.0, FLOODING);
        }
        Ok(())
    })
}

#[test]
fn a_peer_with_messages_of_ten_kilobytes_does_not_flood() -> io::Result<()> {
    on_one_thread(async {
        let (mut readers, _flooding, mut quiet) = flood().await?;
        let message = format!("{{\"method\":\"{}\"}}\n", "x".repeat(10_000));
        for _ in 0..5 {
            quiet.write_all(message.as_bytes())?;
            assert_eq!(readers.serve().await, (QUIET, 1));
            assert_eq!(readers.serve().await.0, FLOODING);
        }
        Ok(())
    })
}

#[test]
fn floods_have_a_batch_each_in_a_round() -> io::Result<()> {
    on_one_thread(async {
        let mut readers = Readers::new();
        let channels = [1, 2, 3].map(ChannelId);
        let mut agents = Vec::new();
        for channel in channels {
            let mut agent = readers.start(channel)?;
            agent.write_all(&LINE.repeat(1_000))?;
            agents.push(agent);
        }
        let mut served = Vec::new();
        for _ in 0..4 * channels.len() {
            served.push(readers.serve().await.0);
        }
        // A round may run in the order that is opposite to that of the round before. All of this
        // is in the first read of each.
        assert!(
            !served.windows(3).any(|three| three.iter().all(|one| *one == three[0])),
            "{served:?}"
        );
        assert!(channels.iter().all(|channel| served.contains(channel)), "{served:?}");
        Ok(())
    })
}

#[test]
fn a_flood_beside_another_peer_is_read_in_short_pieces() -> io::Result<()> {
    /// The bytes of one read of the flooding peer: all but its last batch are full.
    async fn read(readers: &mut Readers) -> usize {
        let mut bytes = 0;
        loop {
            let (channel, lines) = readers.serve().await;
            assert_eq!(channel, FLOODING);
            bytes += lines * LINE.len();
            if lines % SHORT_BATCH != 0 {
                return bytes;
            }
        }
    }
    on_one_thread(async {
        let mut readers = Readers::new();
        let (mut flooding, mut quiet) = (readers.start(FLOODING)?, readers.start(QUIET)?);
        let flood = LINE.repeat(60_000 / LINE.len());
        flooding.write_all(&flood)?;
        assert_eq!(read(&mut readers).await, flood.len());
        quiet.write_all(LINE)?;
        assert_eq!(readers.serve().await, (QUIET, 1));
        flooding.write_all(&flood)?;
        assert!(read(&mut readers).await <= SHORT_READ);
        Ok(())
    })
}

#[test]
fn a_peer_has_company_for_some_reads_after_a_read_of_another() {
    let crowd = Crowd::default();
    let peer = || {
        Flow::new(
            Outbox::new(1 << 20, Rc::new(Notify::new()), OutboxSum::new(usize::MAX)),
            crowd.clone(),
        )
    };
    let other = Pace::new(peer());
    other.has_read(1);
    let mut pace = Pace::new(peer());
    assert_eq!(pace.longest_read(), LONG_READ, "the other came before the first read");
    pace.has_read(1);
    assert_eq!(pace.longest_read(), LONG_READ, "its own reads are no company");
    other.has_read(1);
    for _ in 0..COMPANY {
        assert_eq!((pace.longest_read(), pace.longest_batch()), (SHORT_READ, SHORT_BATCH));
    }
    assert_eq!((pace.longest_read(), pace.longest_batch()), (LONG_READ, LONGEST_BATCH));
}
