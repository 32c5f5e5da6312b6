//! The keys of the live view.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// A key that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Explain,
    Close,
    Cancel,
    Retire,
    RetireNow,
    Yes,
    /// Leaves what lies above the tree.
    Back,
    Quit,
}

/// The line that names the keys.
pub(super) const HELP: &str =
    "↑↓ move  e explain  x close  c cancel turn  r retire  R retire now  q quit";

/// The meaning of an event of the terminal; `None`: none, but the view is drawn again, as after a
/// change of its size.
pub(super) fn key(event: &Event) -> Option<Key> {
    let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else {
        return None;
    };
    if modifiers.contains(KeyModifiers::CONTROL) {
        return (*code == KeyCode::Char('c')).then_some(Key::Quit);
    }
    Some(match code {
        KeyCode::Up | KeyCode::Char('k') => Key::Up,
        KeyCode::Down | KeyCode::Char('j') => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown | KeyCode::Char(' ') => Key::PageDown,
        KeyCode::Home | KeyCode::Char('g') => Key::First,
        KeyCode::End | KeyCode::Char('G') => Key::Last,
        KeyCode::Enter | KeyCode::Char('e') => Key::Explain,
        KeyCode::Char('x') => Key::Close,
        KeyCode::Char('c') => Key::Cancel,
        KeyCode::Char('r') => Key::Retire,
        KeyCode::Char('R') => Key::RetireNow,
        KeyCode::Char('y') => Key::Yes,
        KeyCode::Esc | KeyCode::Char('n') => Key::Back,
        KeyCode::Char('q') => Key::Quit,
        _ => return None,
    })
}
