//! An agent's last words: the one line of its stderr that most likely says why it ended.

use crate::bridge::event::ExitStatus;

/// The number of lines, from the end, among which a reason is looked for.
const LOOKED_AT: usize = 60;

/// Words of a line that says what is wrong.
const REASONS: [&str; 19] = [
    "error",
    "not found",
    "unknown",
    "no such",
    "no matching",
    "no module",
    "cannot",
    "can't",
    "could not",
    "denied",
    "refused",
    "invalid",
    "missing",
    "unable",
    "failed",
    "panicked",
    "unexpected",
    "unrecognized",
    "required",
];

/// Words of a line that is routine, whatever the reason is.
const NOISE: [&str; 4] =
    ["complete log of this run", "for more information", "run with `rust_backtrace", "debug log"];

/// The line that is quoted of the end of an agent's stderr. After a signal a line is quoted
/// only if it looks like a reason: the signal is one already.
pub fn chosen(status: ExitStatus, stderr_tail: &str) -> Option<&str> {
    let lines = || stderr_tail.lines().rev().take(LOOKED_AT).filter(|line| !is_noise(line));
    let reason = lines().find(|line| is_reason(line));
    match (reason, status) {
        (Some(line), _) => Some(line.trim()),
        (None, ExitStatus::Signal(_)) => None,
        (None, ExitStatus::Code(_) | ExitStatus::Unknown) => lines().next().map(str::trim),
    }
}

fn is_noise(line: &str) -> bool {
    let line = line.trim().to_ascii_lowercase();
    let is_frame = line.starts_with("at ") || line.starts_with("node.js v");
    let has_words = line.bytes().any(|byte| byte.is_ascii_alphanumeric());
    is_frame || !has_words || NOISE.iter().any(|words| line.contains(words))
}

fn is_reason(line: &str) -> bool {
    let line = line.trim().to_ascii_lowercase();
    // npm writes these words in front of each line.
    let line = ["npm error", "npm err!"]
        .iter()
        .find_map(|prefix| line.strip_prefix(prefix))
        .unwrap_or(&line);
    REASONS.iter().any(|words| line.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(tail: &str) -> Option<&str> {
        chosen(ExitStatus::Code(1), tail)
    }

    #[test]
    fn the_line_that_looks_like_a_reason_is_quoted() {
        for (tail, line) in [
            (
                "npm error code ETARGET\nnpm error notarget No matching version found for x@9.9.9.\n\
                 npm error notarget In most cases you or one of your dependencies are requesting\n\
                 npm error notarget a package version that doesn't exist.\n\
                 npm error A complete log of this run can be found in: /home/ada/.npm/_logs/1.log",
                "npm error notarget No matching version found for x@9.9.9.",
            ),
            (
                "error: unexpected argument '--acpp' found\n\n  tip: a similar argument exists: '--acp'\n\n\
                 Usage: codex [OPTIONS]\n\nFor more information, try '--help'.\n",
                "error: unexpected argument '--acpp' found",
            ),
            (
                "node:internal/modules/cjs/loader:1228\n  throw err;\n  ^\n\nError: Cannot find module '/x/y.js'\n\
                 \x20   at Module._resolveFilename (node:internal/modules:1225:15) {\n  code: 'MODULE_NOT_FOUND'\n}\n\n\
                 Node.js v22.9.0",
                "Error: Cannot find module '/x/y.js'",
            ),
            ("starting\nno key was found\n", "no key was found"),
            ("out of paper", "out of paper"),
        ] {
            assert_eq!(words(tail), Some(line));
        }
        assert_eq!(words(" \n\n"), None);
    }

    #[test]
    fn after_a_signal_routine_is_not_quoted() {
        let killed = ExitStatus::Signal(9);
        assert_eq!(chosen(killed, "listening on stdio\nready"), None);
        assert_eq!(
            chosen(killed, "fatal error: out of memory\nready"),
            Some("fatal error: out of memory")
        );
    }
}
