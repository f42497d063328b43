//! Real Redis and ours side by side: a session's commands go to both, one after the other, and the answers are compared.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    thread::sleep,
    time::{Duration, Instant},
};

use super::{
    grammar::Words,
    normal::normalise,
    resp::{Client, Value},
};
use crate::{servers::Server, tolerated::Tolerance};

/// How many clients a session has. The second speaks RESP3.
pub const CLIENTS: usize = 3;

/// How long a server may take to notice that a client has gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to listen for an answer before looking whether the client was made to wait.
const GLANCE: Duration = Duration::from_millis(1);

/// A command of one of the clients.
#[derive(Clone)]
pub struct Step {
    pub client: usize,
    pub words: Words,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}>", ["a", "b", "c"][self.client])?;
        self.words.iter().try_for_each(|word| match word.is_empty() || word.contains(&b' ') {
            true => write!(f, " \"{}\"", word.escape_ascii()),
            false => write!(f, " {}", word.escape_ascii()),
        })
    }
}

/// The commands of a session in their order.
#[derive(Clone)]
pub struct Session(pub Vec<Step>);

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| write!(f, "\n  {step}"))
    }
}

/// What was compared so far.
#[derive(Default)]
pub struct Tally {
    /// By command.
    pub commands: BTreeMap<String, u64>,
    pub operations: u64,
    /// How many of these both servers refused.
    pub refused: u64,
    pub sessions: u64,
}

/// Both servers.
pub struct Pair {
    sides: [Side; 2],
    tolerance: Tolerance,
    pub tally: Tally,
}

struct Side {
    server: Server,
    /// Asks what the sessions' clients do not.
    control: Client,
    clients: [Option<Client>; CLIENTS],
}

/// What is known of a client on both sides.
#[derive(Default)]
struct State {
    connected: bool,
    /// The commands since MULTI.
    queued: Option<Vec<Words>>,
    subscribed: bool,
    /// The command that waits for a key.
    waits: Option<Words>,
}

impl Pair {
    pub fn new(real: Server, ours: Server, tolerance: Tolerance) -> Self {
        Self { sides: [real, ours].map(Side::new), tolerance, tally: Tally::default() }
    }

    /// Runs a session on both servers, which are empty when it begins.
    ///
    /// # Errors
    /// The session so far, and the two answers that differ.
    pub fn run(&mut self, session: &Session) -> Result<(), String> {
        self.sides.iter_mut().for_each(Side::reset);
        let mut run = Run { pair: self, states: Default::default(), told: String::new() };
        for step in &session.0 {
            run.step(step)?;
        }
        self.sides.iter_mut().for_each(Side::leave);
        self.tally.sessions += 1;
        Ok(())
    }

    /// The answers of both servers to a command of a client of its own, as they come.
    pub fn ask(&mut self, words: &Words) -> [Value; 2] {
        self.sides.each_mut().map(|side| side.ask(words))
    }

    pub fn tolerance(&self) -> &Tolerance {
        &self.tolerance
    }
}

impl Side {
    fn new(server: Server) -> Self {
        let control = Client::connect(server.port);
        Self { server, control, clients: Default::default() }
    }

    fn reset(&mut self) {
        self.leave();
        for words in [&["FLUSHALL"][..], &["SCRIPT", "FLUSH"]] {
            self.ask(&self::words(words));
        }
    }

    /// Disconnects the session's clients and waits until the server has noticed.
    fn leave(&mut self) {
        self.clients = Default::default();
        let deadline = Instant::now() + PATIENCE;
        while self.gauge("connected_clients") > 1 {
            assert!(Instant::now() < deadline, "a server does not notice that its clients have gone");
            sleep(GLANCE);
        }
    }

    fn ask(&mut self, words: &Words) -> Value {
        self.control.send(&[words]);
        self.control.read()
    }

    /// A client that [`Run::connect`] has connected.
    fn client(&mut self, client: usize) -> &mut Client {
        self.clients[client].as_mut().expect("a client is connected before it is used")
    }

    /// A number in INFO's section about clients.
    fn gauge(&mut self, name: &str) -> u64 {
        let answer = self.ask(&words(&["INFO", "clients"]));
        let text = String::from_utf8_lossy(answer.bytes().expect("INFO is text")).into_owned();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("INFO has no {name}: {text}"))
    }

    /// Sends a command that may wait for a key; its answer, or none when it waits.
    fn send_waiting(&mut self, client: usize, words: &Words, waiting: u64) -> Option<Value> {
        self.client(client).send(&[words]);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.client(client).answers_within(GLANCE) {
                return Some(self.client(client).read());
            }
            if self.gauge("blocked_clients") > waiting {
                return None;
            }
            assert!(Instant::now() < deadline, "a server neither answers a command nor waits");
        }
    }

    /// Sends a command if there is one, and reads what has come for the client up to and including its answer.
    fn send_fenced(&mut self, client: usize, words: Option<&Words>) -> Value {
        let fence = self::words(&["PING", "<fence>"]);
        let commands: Vec<&[Vec<u8>]> = words.into_iter().chain([&fence]).map(Vec::as_slice).collect();
        self.client(client).send(&commands);
        let mut answers = Vec::new();
        loop {
            let mut answer = self.client(client).read();
            let fenced = match &answer {
                Value::Bytes(_, bytes) => bytes == b"<fence>",
                Value::Values(..) => {
                    answer.elements().last().is_some_and(|last| last.bytes() == Some(b"<fence>"))
                }
                Value::Closed => true,
                _ => false,
            };
            let closed = answer == Value::Closed;
            if !fenced || closed {
                answers.push(answer);
            }
            if fenced {
                return Value::Values(b'*', answers);
            }
        }
    }

    /// Walks with SCAN and its kin from the first cursor to the last: what came, without order and repetitions.
    fn walk(&mut self, client: usize, words: &Words, cursor: usize) -> Value {
        let mut words = words.clone();
        let mut found = Vec::new();
        loop {
            self.client(client).send(&[&words]);
            let mut answer = self.client(client).read();
            let [next, page] = answer.elements() else { return answer };
            let pairs = if words[0].eq_ignore_ascii_case(b"HSCAN") { 2 } else { 1 };
            found.extend(page.elements().chunks(pairs).map(|pair| Value::Values(b'*', pair.to_vec())));
            match next.bytes() {
                Some(b"0") | None => break,
                Some(next) => words[cursor] = next.to_vec(),
            }
        }
        found.sort();
        found.dedup();
        Value::Values(b'*', found)
    }
}

/// A session under way.
struct Run<'a> {
    pair: &'a mut Pair,
    states: [State; CLIENTS],
    /// The commands and their answers, a line each.
    told: String,
}

impl Run<'_> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        let client = step.client;
        let name = String::from_utf8_lossy(&step.words[0]).to_uppercase();
        if !self.may(client, &name) {
            return Ok(());
        }
        self.connect(client);
        let fenced = self.states[client].subscribed || name.ends_with("SUBSCRIBE");
        let walks = match name.as_str() {
            "SCAN" => Some(1),
            "HSCAN" | "SSCAN" | "ZSCAN" => Some(2),
            _ => None,
        };
        let walks = walks.filter(|cursor| step.words.get(*cursor).is_some_and(|word| word == b"0"));
        let for_ever = |pair: &[Vec<u8>]| pair[0] == b"BLOCK" && pair[1] == b"0";
        let waits = self.states[client].queued.is_none() && step.words.windows(2).any(for_ever);
        let waiting = self.states.iter().filter(|state| state.waits.is_some()).count() as u64;
        let [real, ours] = self.pair.sides.each_mut().map(|side| {
            if fenced {
                Some(side.send_fenced(client, Some(&step.words)))
            } else if let Some(cursor) = walks {
                Some(side.walk(client, &step.words, cursor))
            } else if waits {
                side.send_waiting(client, &step.words, waiting)
            } else {
                side.client(client).send(&[&step.words]);
                Some(side.client(client).read())
            }
        });
        match (real, ours) {
            (Some(real), Some(ours)) => self.compare(client, &step.words, real, ours)?,
            (None, None) => {
                writeln!(self.told, "  {step}\n      waits").expect("a string takes any text");
                self.states[client].waits = Some(step.words.clone());
            }
            (real, ours) => {
                let told = |answer: Option<Value>| answer.map_or("waits".into(), |answer| answer.to_string());
                return Err(self.differ(step, &told(real), &told(ours)));
            }
        }
        self.deliver(client)
    }

    /// Whether a client is in a state in which the answer to the command can be told from others.
    fn may(&self, client: usize, name: &str) -> bool {
        let state = &self.states[client];
        let transaction = state.queued.is_some();
        let walks = ["SCAN", "HSCAN", "SSCAN", "ZSCAN"].contains(&name);
        let unfit = match (transaction, state.subscribed) {
            (false, false) => false,
            (true, _) if name.ends_with("SUBSCRIBE") => true,
            (_, true) if name == "MULTI" => true,
            _ => walks,
        };
        state.waits.is_none() && !unfit
    }

    fn connect(&mut self, client: usize) {
        if self.states[client].connected {
            return;
        }
        self.states[client].connected = true;
        for side in &mut self.pair.sides {
            let mut connected = Client::connect(side.server.port);
            if client == 1 {
                connected.send(&[&words(&["HELLO", "3"])]);
                connected.read();
            }
            side.clients[client] = Some(connected);
        }
    }

    /// Reads and compares what has come for the other clients: messages, and keys that they waited for.
    fn deliver(&mut self, from: usize) -> Result<(), String> {
        for client in (0..CLIENTS).filter(|client| *client != from) {
            if self.states[client].subscribed {
                let [real, ours] = self.pair.sides.each_mut().map(|side| side.send_fenced(client, None));
                self.compare(client, &words(&["(messages)"]), real, ours)?;
            }
        }
        let waiting: Vec<usize> =
            (0..CLIENTS).filter(|client| self.states[*client].waits.is_some()).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        let still = self.pair.sides.each_mut().map(|side| side.gauge("blocked_clients"));
        if still[0] != still[1] {
            let step = Step { client: from, words: words(&["(clients that still wait)"]) };
            return Err(self.differ(&step, &still[0].to_string(), &still[1].to_string()));
        }
        let mut served = waiting.len() as u64 - still[0];
        let deadline = Instant::now() + PATIENCE;
        while served > 0 {
            assert!(Instant::now() < deadline, "a client that waits no longer gets no answer");
            for client in &waiting {
                if self.states[*client].waits.is_some()
                    && self.pair.sides[0].client(*client).answers_within(GLANCE)
                {
                    let words = self.states[*client].waits.take().expect("it waits");
                    let [real, ours] = self.pair.sides.each_mut().map(|side| side.client(*client).read());
                    self.compare(*client, &words, real, ours)?;
                    served -= 1;
                }
            }
        }
        Ok(())
    }

    fn compare(&mut self, client: usize, words: &Words, real: Value, ours: Value) -> Result<(), String> {
        let mut answers = [real, ours];
        for answer in &mut answers {
            match (&self.states[client].queued, words[0].eq_ignore_ascii_case(b"EXEC")) {
                (Some(queued), true) => {
                    for (words, answer) in queued.iter().zip(answer.elements()) {
                        normalise(words, answer);
                    }
                }
                _ => {
                    normalise(words, answer);
                    // What came for a subscriber is a list, the answer among messages.
                    if self.states[client].subscribed {
                        answer.elements().iter_mut().for_each(|one| normalise(words, one));
                    }
                }
            }
        }
        let [real, ours] = answers;
        let step = Step { client, words: words.clone() };
        if real != ours {
            let request = step.to_string();
            let request = request.split_once("> ").map_or("", |(_, words)| words);
            if !self.pair.tolerance.admits(request, &real.to_string(), &ours.to_string()) {
                return Err(self.differ(&step, &real.to_string(), &ours.to_string()));
            }
        }
        writeln!(self.told, "  {step}\n      {real}").expect("a string takes any text");
        self.note(client, words, &real);
        Ok(())
    }

    /// Keeps in mind what the answer says of the client's state, and counts.
    fn note(&mut self, client: usize, words: &Words, answer: &Value) {
        let name = words[0].to_ascii_uppercase().escape_ascii().to_string();
        let state = &mut self.states[client];
        let queued = Value::Line(b'+', b"QUEUED".to_vec());
        match name.as_str() {
            "MULTI" if !answer.is_error() => state.queued = Some(Vec::new()),
            "EXEC" | "DISCARD" | "RESET" => state.queued = None,
            "QUIT" => *state = State::default(),
            _ if *answer == queued => {
                if let Some(commands) = &mut state.queued {
                    commands.push(words.clone());
                }
            }
            _ => {}
        }
        if name.ends_with("SUBSCRIBE") || name == "RESET" {
            state.subscribed = is_subscribed(answer, state.subscribed);
        }
        if contains(answer, &Value::Closed) {
            *state = State::default();
        }
        let tally = &mut self.pair.tally;
        if !name.starts_with('(') {
            tally.operations += 1;
            tally.refused += u64::from(answer.is_error());
            *tally.commands.entry(name).or_default() += 1;
        }
    }

    fn differ(&self, step: &Step, real: &str, ours: &str) -> String {
        format!("\n{}  {step}\n real {real}\n ours {ours}\n", self.told)
    }
}

/// Whether a client has subscriptions after these answers to SUBSCRIBE and its kin, whose last element counts them.
fn is_subscribed(answer: &Value, before: bool) -> bool {
    let Value::Values(_, answers) = answer else { return before };
    let counts = answers.iter().filter_map(|answer| match answer {
        Value::Values(_, elements) => elements.last()?.integer(),
        Value::Line(b'+', line) if line == b"RESET" => Some(0),
        _ => None,
    });
    counts.last().map_or(before, |count| count > 0)
}

fn contains(value: &Value, wanted: &Value) -> bool {
    value == wanted
        || matches!(value, Value::Values(_, elements) if elements.iter().any(|e| contains(e, wanted)))
}

/// Words of text.
pub fn words(words: &[&str]) -> Words {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}
