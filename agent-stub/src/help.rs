//! The text of `--help`.

/// The list of all flags and all commands.
pub(crate) fn text() -> String {
    format!("agent-stub {}\n{HELP}", env!("CARGO_PKG_VERSION"))
}

const HELP: &str = "\
A deterministic ACP agent over stdio. The text of a prompt is a script; flags set its manners.

Usage: agent-stub [FLAG [VALUE]]…

Sessions
  --session-ids counter|random|fixed:ID   sess-1, sess-2 … (the first that is free); default
  --state-dir DIR              keep sessions as files there, so that a restart can load them
  --lock-sessions              one lock file per session: a second process may not load it
  --forget-unprompted          never-prompted sessions can be neither loaded nor listed
  --lose-store                 every load and resume is refused with -32002
  --load-mode MODE             load and resume come back in that mode
  --late-replay                a load is answered in the middle of its replay
  --without CAP                do without close, load, resume, list, delete or fork
  --needs-login                sessions are refused with -32000 until `authenticate`

Answers (METHOD is the name of any request)
  --delay METHOD=MS            answer that much later; other methods are not held up
  --never METHOD               take no notice of it
  --refuse METHOD[=CODE[:MESSAGE]]        default -32603 \"refused by flag\"
  --exit-on METHOD[=CODE]      exit instead of answering; default 1
  --abort-on METHOD            SIGABRT instead of answering
  --silent                     answer nothing at all
  --protocol-version N         answer `initialize` with that version
  --exotic                     unknown fields, odd numbers, escapes and spaces in the answers
                               to initialize, session/new and session/prompt

Order
  --early-update               available_commands_update before the answer to new, load, fork
  --ask-in-new                 ask a permission inside session/new and wait for it
  --updates-at-close N         N updates between a close and its answer
  --updates-after-close N      N updates after the answer to a close
  --ask-after-close            ask a permission for the session just closed
  --block-while-asking         while a permission is open no request is answered
  --second-prompt concurrent|queue|refuse|merge      default: concurrent
  --ignore-cancel              a cancel changes nothing
  --cancel-means-end-turn      a cancelled turn says end_turn

Process
  --linger MS                  stay that long after stdin's end
  --deaf-stdin                 never leave because of stdin's end
  --deaf-term                  ignore SIGTERM
  --stderr TEXT                a line on stderr at start (may be repeated)
  --garbage-at-start           a line on stdout that is not JSON, before anything else
  --leak BYTES                 never give back that much memory per prompt
  --log FILE                   append `< LINE` in, `> LINE` out, `= start PID`, `= eof`, `= exit`
  --version, --help

Commands in a prompt, one a line (any other line is said back: `you said: LINE`)
  say TEXT                     an agent_message_chunk
  stream N SIZE                N agent_message_chunks of SIZE bytes
  think TEXT                   an agent_thought_chunk
  plan | tool NAME | usage     the update of that name
  ask-permission               permission: selected ID | cancelled | error CODE
  read PATH                    read: TEXT | error CODE
  write PATH TEXT              write: ok | error CODE
  terminal CMD ARG…            create, wait, output, release; terminal: exit CODE: OUTPUT
  elicit                       elicit: accept {…} | decline | cancel | error CODE
  request METHOD JSON          any request ($SESSION is the session id); answer: JSON | error …
  sleep MS                     a cancel ends it
  stop REASON                  the stop reason of this turn
  echo-params | env NAME | pid say the prompt's params as they came, a variable, the process id
  update-later MS TEXT         an agent_message_chunk that long after the turn
  raw JSON                     that line as it is ($SESSION is the session id)
  background MS                a child that outlives the turn; background: PID
  grandchild hold-pipe|ignore-term|setsid   a child that sleeps 600 s; grandchild: PID
  update-other ID TEXT         an update for another session
  ask-other ID                 a permission for another session
  answer-twice                 answer this prompt twice
  garbage | long-line BYTES    a line that is not JSON; an update in a line of BYTES bytes
  half-line                    half a frame, then exit 1
  stderr TEXT | flood-stderr LINES
  exit CODE | abort | stop-self             exit, SIGABRT, SIGSTOP
";
