//! The drawing of the live view.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{
    Block, Borders, Cell, Clear, Paragraph, Row as Cells, StatefulWidget, Table, Widget, Wrap,
};

use super::keys::HELP;
use super::rows::{Row, Tone};
use super::screen::{Mode, Screen};
use crate::bridge::words::counted;
use crate::control::report::size;

/// The lines about the row that is chosen.
const DETAIL: u16 = 2;

/// The least width of a view whose last column has room for a reason.
const WIDE: u16 = 110;

/// The least height of a view with events.
const LOW: u16 = 14;

/// Draws the whole view.
pub(super) fn draw(area: Rect, buffer: &mut Buffer, screen: &mut Screen) {
    let events = match screen.events.is_empty() || area.height < LOW {
        true => 0,
        false => (area.height / 5).clamp(3, 12) + 1,
    };
    let heights = [1, area.height.saturating_sub(events + DETAIL + 2), DETAIL, events, 1];
    let mut top = area.y;
    let [title, tree, detail, below, keys] = heights.map(|height| {
        let height = height.min((area.y + area.height).saturating_sub(top));
        let part = Rect { y: top, height, ..area };
        top += height;
        part
    });
    head(screen).render(title, buffer);
    draw_tree(buffer, screen, tree);
    let text = screen.chosen().map(|row| row.detail.clone()).unwrap_or_default();
    Paragraph::new(text).wrap(Wrap { trim: true }).dim().render(detail, buffer);
    draw_events(buffer, screen, below);
    foot(screen).render(keys, buffer);
    if let Mode::Explained(text, from) = &mut screen.mode {
        draw_explained(buffer, text, from, area);
    }
}

/// The sums of all bridges.
fn head(screen: &Screen) -> Line<'static> {
    let (mut sessions, mut turns, mut questions, mut channels, mut clients, mut bytes) =
        (0, 0, 0, 0, 0, 0);
    for look in screen.looks() {
        let status = &look.bridge.status;
        sessions += status.counts.sessions;
        turns += status.counts.in_turn;
        questions += status.counts.questions;
        channels += status.counts.channels;
        clients += status.counts.clients;
        bytes += status.bridge.memory_bytes.unwrap_or_default();
        bytes += status
            .channels
            .iter()
            .filter_map(|channel| channel.tree)
            .map(|tree| tree.memory_bytes)
            .sum::<u64>();
    }
    let mut parts = vec![counted(sessions, "session", "sessions")];
    parts.extend((turns > 0).then(|| counted(turns, "turn", "turns")));
    parts.extend((questions > 0).then(|| counted(questions, "question", "questions")));
    parts.push(counted(channels, "channel", "channels"));
    parts.push(counted(clients, "client", "clients"));
    parts.push(size(bytes));
    Line::from(vec!["drawbridge  ".bold(), parts.join(", ").into()])
}

fn draw_tree(buffer: &mut Buffer, screen: &mut Screen, area: Rect) {
    screen.page = usize::from(area.height.saturating_sub(1)).max(1);
    let is_wide = area.width >= WIDE;
    let (name, next) = match is_wide {
        true => (Constraint::Length(36), Constraint::Fill(1)),
        false => (Constraint::Min(20), Constraint::Length(15)),
    };
    let figures = [17, 8, 4, 8].map(Constraint::Length);
    let widths = [name].into_iter().chain(figures).chain([next]);
    let headings = ["AGENT/CHANNEL/SESSION", "STATE", "  MEMORY", " CPU", "   QUEUE", "WHAT NEXT"];
    let headings = Cells::new(headings);
    let rows: Vec<Cells<'_>> = screen.rows.iter().map(|row| cells(row, is_wide)).collect();
    let table = Table::new(rows, widths)
        .header(headings.style(Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)))
        .column_spacing(1)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    StatefulWidget::render(table, area, buffer, &mut screen.table);
}

fn cells(row: &Row, is_wide: bool) -> Cells<'_> {
    let right = |text: &str| Cell::from(Line::from(text.to_owned()).right_aligned());
    let indent = "  ".repeat(row.depth);
    let style = match row.tone {
        Tone::Heading => Style::new().add_modifier(Modifier::BOLD),
        Tone::Plain => Style::new(),
        Tone::Busy => Style::new().fg(Color::Green),
        Tone::Asks => Style::new().fg(Color::Yellow),
        Tone::Ending => Style::new().fg(Color::Magenta),
        Tone::Wrong => Style::new().fg(Color::Red),
    };
    Cells::new([
        Cell::from(format!("{indent}{}", row.name)),
        Cell::from(row.state.as_str()),
        right(&row.memory),
        right(&row.processor),
        right(&row.queue),
        Cell::from(if is_wide { row.next.as_str() } else { row.soon.as_str() }),
    ])
    .style(style)
}

fn draw_events(buffer: &mut Buffer, screen: &Screen, area: Rect) {
    let room = usize::from(area.height.saturating_sub(1));
    let last = screen.events.iter().skip(screen.events.len().saturating_sub(room));
    let lines: Vec<Line<'_>> = last.map(|event| Line::from(event.as_str())).collect();
    let block = Block::new().borders(Borders::TOP).title(" events ").dim();
    Paragraph::new(lines).block(block).render(area, buffer);
}

/// The question that waits, what was said last, or the keys.
fn foot(screen: &Screen) -> Line<'static> {
    match (&screen.mode, screen.said.as_ref().or(screen.unseen.as_ref())) {
        (Mode::Confirm(_, question), _) => {
            Line::from(format!("{question}  y yes  n no")).fg(Color::Yellow).bold()
        }
        (Mode::Explained(..), _) => Line::from("↑↓ scroll  Esc back  q quit").dim(),
        (_, Some(said)) => Line::from(said.clone()).fg(Color::Yellow),
        (_, None) => Line::from(HELP).dim(),
    }
}

/// Draws an explanation above the tree, and keeps its scrolling within its lines.
fn draw_explained(buffer: &mut Buffer, text: &str, from: &mut u16, area: Rect) {
    let area = Rect { y: area.y + 1, height: area.height.saturating_sub(2), ..area };
    let paragraph = Paragraph::new(Text::from(text)).wrap(Wrap { trim: false });
    // Long lines are broken between words, so that there are more of them than in the text.
    let width = (usize::from(area.width.saturating_sub(2)) * 3 / 4).max(1);
    let lines: usize = text.lines().map(|line| line.chars().count().div_ceil(width).max(1)).sum();
    let room = usize::from(area.height.saturating_sub(2));
    *from = (*from).min(u16::try_from(lines.saturating_sub(room)).unwrap_or(u16::MAX));
    let block = Block::bordered().title(" why this process is alive ");
    Clear.render(area, buffer);
    paragraph.block(block).scroll((*from, 0)).render(area, buffer);
}
