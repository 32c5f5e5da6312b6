//! The programs that are left alone when a tree is ended.

use super::{ProcessEntry, arguments};

/// The most bytes of a program's name that the process table shows.
const SHOWN_NAME: usize = 15;

/// Programs that run others: the process bears their name, and its arguments say what it is.
const RUNTIMES: [&str; 3] = ["java", "node", "python"];

/// Names of programs that are left alone when a tree is ended: daemons that serve
/// other programs, too, even if an agent is the first to start them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spare(Vec<String>);

impl Default for Spare {
    fn default() -> Self {
        Spare::of("tmux,gpg-agent,ssh,watchman,gradle,adb,dbus-daemon")
    }
}

impl Spare {
    /// Reads a list of names with commas between them.
    pub fn of(list: &str) -> Spare {
        let names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        Spare(names.map(str::to_owned).collect())
    }

    /// The names, with commas between them.
    pub fn list(&self) -> String {
        self.0.join(",")
    }

    /// The name of a process that is left alone, as a person knows it; `None`: it is ended.
    pub fn name_of(&self, entry: &ProcessEntry) -> Option<String> {
        if self.holds(&entry.name) {
            return Some(entry.name.clone());
        }
        let spared = self.in_runtime(&arguments(entry.pid))?;
        Some(format!("{spared} ({})", entry.name))
    }

    /// Whether a process with this name is left alone. A role behind the program's
    /// name does not matter, as in `tmux: server`.
    fn holds(&self, name: &str) -> bool {
        let program = name.split_once(':').map_or(name, |(program, _)| program);
        self.0.iter().any(|spared| {
            let shown = spared.as_bytes().get(..SHOWN_NAME).unwrap_or(spared.as_bytes());
            program.as_bytes() == shown || name == spared
        })
    }

    /// The name in the list that one of the arguments of a runtime stands for.
    fn in_runtime(&self, arguments: &[String]) -> Option<&str> {
        let (program, arguments) = arguments.split_first()?;
        let program = program.rsplit('/').next()?;
        if !RUNTIMES.iter().any(|runtime| program.starts_with(runtime)) {
            return None;
        }
        let spared = self.0.iter().find(|name| arguments.iter().any(|one| stands_for(one, name)));
        spared.map(String::as_str)
    }
}

/// Whether an argument of a runtime is the program of this name, or its daemon: a script, a
/// module or a class, such as `org.gradle.launcher.daemon.bootstrap.GradleDaemon`.
fn stands_for(argument: &str, name: &str) -> bool {
    let script = argument.rsplit('/').next().unwrap_or(argument);
    let script = [".js", ".mjs", ".cjs", ".py", ".jar"]
        .iter()
        .find_map(|ending| script.strip_suffix(ending))
        .unwrap_or(script);
    let class = script.rsplit('.').next().unwrap_or(script);
    [script, class].iter().any(|last| {
        last.get(..name.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(name))
            && matches!(last.get(name.len()..), Some("" | "Daemon" | "-daemon" | "_daemon"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_spared_with_what_it_says_of_itself() {
        let spare = Spare::of("tmux, a-rather-long-program ,");
        assert_eq!(spare.list(), "tmux,a-rather-long-program");
        assert!(spare.holds("tmux"));
        assert!(spare.holds("tmux: server"));
        assert!(spare.holds("a-rather-long-p"));
        assert!(!spare.holds("tmuxinator"));
        assert!(!spare.holds(""));
        assert!(!Spare::of("").holds("tmux"));
    }

    #[test]
    fn a_daemon_in_a_runtime_is_known_by_its_arguments() {
        let spare = Spare::of("gradle,dmypy,eslint_d");
        let spared = |line: &str| {
            let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
            spare.in_runtime(&arguments).map(str::to_owned)
        };
        let class = "org.gradle.launcher.daemon.bootstrap.GradleDaemon";
        assert_eq!(
            spared(&format!("/opt/jdk/bin/java -Xmx2g {class} 8.14")).as_deref(),
            Some("gradle")
        );
        assert_eq!(spared("/usr/bin/python3.12 -m mypy.dmypy start").as_deref(), Some("dmypy"));
        assert_eq!(spared("node /usr/lib/eslint_d.js").as_deref(), Some("eslint_d"));
        for other in [
            // The client of the daemon is a part of the turn.
            "java -jar /home/ada/gradle-wrapper.jar build",
            "java org.gradle.wrapper.GradleWrapperMain build",
            "node /home/ada/gradle-tools/server.js",
            "bash -c gradle",
            "java",
        ] {
            assert_eq!(spared(other), None, "{other}");
        }
    }
}
