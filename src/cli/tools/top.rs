//! `top`: a live view of bridges, their agents, channels and sessions.

mod keys;
mod look;
mod orders;
mod rows;
mod screen;
mod view;

use std::io::{self, IsTerminal};
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::EventStream;
use futures_util::stream::StreamExt;
use ratatui::DefaultTerminal;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep};

use self::keys::key;
use self::look::{News, Sight, look};
use self::screen::{Ask, Screen};
use super::args::{TopArgs, Which};
use super::bridges::Failure;
use crate::cli::end_signals::EndSignals;
use crate::cli::exit_code::UNUSABLE;
use crate::cli::print::output;

/// The time between two looks.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// The same for a view that is printed once: processor time needs two looks.
const ONCE: Duration = Duration::from_millis(500);

/// The size of a view that is printed once, where there is no terminal: columns and rows.
const SIZE: (u16, u16) = (80, 24);

/// The most events that wait to be shown; more are dropped.
const MOST_EVENTS: usize = 1024;

pub(super) async fn top(args: TopArgs) -> Result<ExitCode, Failure> {
    let which = Which { bridge: args.bridge, socket: args.socket };
    if let Some(size) = args.once {
        // A terminal may not know its size.
        let own = || crossterm::terminal::size().ok().filter(|size| size.0 > 0 && size.1 > 0);
        return once(&which, size.or_else(own).unwrap_or(SIZE)).await;
    }
    if !io::stdout().is_terminal() {
        let why = "stdout is no terminal; --once prints the view once";
        return Err(Failure::new(UNUSABLE, why));
    }
    let signals = EndSignals::new().map_err(|error| cannot_draw(&error))?;
    let done = match ratatui::try_init() {
        Ok(terminal) => Top::new(which).run(terminal, signals).await,
        Err(error) => Err(error),
    };
    ratatui::restore();
    done.map_err(|error| cannot_draw(&error))?;
    Ok(ExitCode::SUCCESS)
}

fn cannot_draw(error: &io::Error) -> Failure {
    Failure::new(UNUSABLE, format!("the terminal cannot be used: {error}"))
}

/// Prints the view once.
async fn once(which: &Which, (columns, rows): (u16, u16)) -> Result<ExitCode, Failure> {
    let mut screen = Screen::default();
    screen.show(look(which).await);
    sleep(ONCE).await;
    screen.show(Ok(look(which).await?));
    let area = Rect::new(0, 0, columns, rows);
    let mut buffer = Buffer::empty(area);
    view::draw(area, &mut buffer, &mut screen);
    let mut text = String::new();
    for row in buffer.content.chunks(usize::from(columns)) {
        let (mut line, mut covered) = (String::new(), 0);
        for cell in row {
            // A wide letter covers the cells behind it.
            if covered > 0 {
                covered -= 1;
                continue;
            }
            covered = Span::raw(cell.symbol()).width().saturating_sub(1);
            line.push_str(cell.symbol());
        }
        text += line.trim_end();
        text.push('\n');
    }
    Ok(output(text.as_bytes()))
}

/// The result of a task. Its panic is one of this program.
fn joined<T>(done: Result<T, JoinError>) -> T {
    match done {
        Ok(done) => done,
        // No task is cancelled before this value is gone.
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// The live view, and the tasks behind it.
struct Top {
    which: Arc<Which>,
    screen: Screen,
    looks: JoinSet<Result<Sight, Failure>>,
    orders: JoinSet<News>,
    to_screen: mpsc::Sender<News>,
    news: mpsc::Receiver<News>,
    /// The tasks that follow the events of bridges.
    followers: JoinSet<()>,
}

impl Top {
    fn new(which: Which) -> Top {
        let (to_screen, news) = mpsc::channel(MOST_EVENTS);
        Top {
            which: Arc::new(which),
            screen: Screen::default(),
            looks: JoinSet::new(),
            orders: JoinSet::new(),
            to_screen,
            news,
            followers: JoinSet::new(),
        }
    }

    /// Shows the view until the person has seen enough, or a signal ends it.
    async fn run(mut self, mut terminal: DefaultTerminal, mut end: EndSignals) -> io::Result<()> {
        let mut typed = EventStream::new();
        let mut ticks = interval(BETWEEN_LOOKS);
        // After a laptop has slept one look is enough.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.screen.is_over() {
            terminal.draw(|frame| {
                view::draw(frame.area(), frame.buffer_mut(), &mut self.screen);
            })?;
            tokio::select! {
                biased;
                _ = end.next() => return Ok(()),
                event = typed.next() => match event {
                    Some(event) => if let Some(key) = key(&event?) {
                        self.screen.press(key);
                    },
                    None => return Ok(()),
                },
                Some(done) = self.orders.join_next() => self.screen.hear(joined(done)),
                Some(looked) = self.looks.join_next() => self.looked(joined(looked)),
                // A bridge that hangs must not pile up looks.
                _ = ticks.tick(), if self.looks.is_empty() => {
                    let which = Arc::clone(&self.which);
                    self.looks.spawn(async move { look(&which).await });
                }
                Some(()) = async { self.followers.join_next().await.map(joined) } => {}
                Some(news) = self.news.recv() => {
                    self.screen.hear(news);
                    // All that is there is drawn at once.
                    while let Ok(news) = self.news.try_recv() {
                        self.screen.hear(news);
                    }
                }
            }
            if let Some(ask) = self.screen.take_ask() {
                self.ask(ask);
            }
        }
        Ok(())
    }

    fn looked(&mut self, looked: Result<Sight, Failure>) {
        for bridge in self.screen.show(looked) {
            self.followers.spawn(look::follow(bridge, self.to_screen.clone()));
        }
    }

    fn ask(&mut self, ask: Ask) {
        match self.screen.bridge(ask.pid) {
            Some(bridge) => drop(self.orders.spawn(orders::carry_out(bridge, ask))),
            None => {
                let why = format!("the bridge {} is not seen any more; nothing was done", ask.pid);
                self.screen.hear(News::Said(why));
            }
        }
    }
}
