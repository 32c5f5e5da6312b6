//! The text of `--help`.

/// The list of all flags and all commands.
pub(crate) fn text() -> String {
    format!("agent-stub {}\n{HELP}", env!("CARGO_PKG_VERSION"))
}

const HELP: &str = "\
A deterministic ACP agent over stdio. The text of a prompt is a script of commands; flags set
the agent's good and bad manners.

Usage: agent-stub [FLAG [VALUE]]…

Sessions
  --session-ids counter|random|fixed:ID   ids of new sessions; default counter: sess-1, sess-2 …
  --state-dir DIR              directory for session files, so that a new process can load them
  --lock-sessions              a lock file per session; a second process cannot load it
  --forget-unprompted          sessions without a prompt are neither loaded nor listed
  --lose-store                 refuse every load and resume with -32002
  --load-mode MODE             the mode of every session after a load or resume
  --late-replay                answer a load in the middle of its replay
  --without NAME               lack close, load, resume, list, delete or fork
  --needs-login                refuse sessions with -32000 until `authenticate`

Answers (METHOD is the name of any request; one that begins with `_`, and mcp/message, is answered
with {\"echo\": PARAMS}, or with the members of the object `answer` if the params have that)
  --delay METHOD=MS            answer that method so many milliseconds later
  --never METHOD               never answer that method
  --refuse METHOD[=CODE[:MESSAGE]]        answer with an error; default -32603
  --exit-on METHOD[=CODE]      exit with this code in place of an answer; default 1
  --abort-on METHOD            end by SIGABRT in place of an answer
  --silent                     answer no request
  --protocol-version N         answer `initialize` with that version
  --exotic                     unknown fields, odd numbers, escapes and spaces in the answers
                               to initialize, session/new and session/prompt

Order
  --early-update               send an update before the answer to new, load and fork
  --ask-in-new                 ask for a permission within session/new and wait for it
  --updates-at-close N         send N updates between a close and its answer
  --updates-after-close N      send N updates after the answer to a close
  --ask-after-close            ask for a permission in a session that was just closed
  --block-while-asking         answer no request while a permission is open
  --second-prompt concurrent|queue|refuse|merge
                               treatment of a prompt during a turn; default concurrent
  --ignore-cancel              ignore session/cancel
  --cancel-means-end-turn      end a cancelled turn with end_turn

Process
  --linger MS                  run so many milliseconds after the end of stdin
  --deaf-stdin                 do not exit at the end of stdin
  --deaf-term                  ignore SIGTERM
  --stderr TEXT                write a line to stderr at the start (repeatable)
  --garbage-at-start           write a line that is not JSON to stdout first
  --leak BYTES                 lose so much memory at each prompt
  --log FILE                   append `< LINE` in, `> LINE` out, `= start PID`, `= eof`, `= exit`
  --version, --help

Commands in a prompt, one a line, and what is said of their result after `;` (another line is
answered with `you said: LINE`)
  say TEXT                     send an agent_message_chunk
  stream N SIZE                send N agent_message_chunks of SIZE bytes
  think TEXT                   send an agent_thought_chunk
  plan | tool NAME | usage     send the update of that name
  ask-permission               ask; permission: selected ID | cancelled | error CODE
  read PATH                    read a file through the client; read: TEXT | error CODE
  write PATH TEXT              write it through the client; write: ok | error CODE
  terminal CMD ARG…            run it in a terminal of the client; terminal: exit CODE: OUTPUT
  elicit                       ask by elicitation; elicit: accept {…} | decline | cancel | error CODE
  request METHOD JSON          send any request; answer: JSON | error … (in JSON $SESSION is the
                               session id, $REQUEST the id of this prompt)
  ask-raw JSON                 the same with a line that is spelled out, its id included
  notify METHOD JSON           send any notification
  update JSON                  send a session/update with this update
  sleep MS                     wait so many milliseconds, or until a cancel
  stop REASON                  the stop reason of this turn
  echo-params | env NAME | pid say the params of the prompt, a variable, the process id
  recall                       say how many prompts the session's record holds, and its mode
  update-later MS TEXT         an agent_message_chunk so many milliseconds after the turn
  raw JSON                     write that line as it is, but for $SESSION and $REQUEST
  background MS                start a child that outlives the turn; background: PID
  grandchild hold-pipe|ignore-term|setsid   start a child that sleeps 600 s; grandchild: PID
  update-other ID TEXT         send an update for another session
  ask-other ID                 ask for a permission in another session
  answer-twice                 answer this prompt twice
  garbage | long-line BYTES    write a line that is not JSON; an update of BYTES bytes
  half-line                    write half a frame and exit with code 1
  stderr TEXT | flood-stderr LINES
  exit CODE | abort | stop-self             exit, SIGABRT, SIGSTOP
";
