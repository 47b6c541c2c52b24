//! The language of the conformance scripts: parsed here, and run as a conversation.

use std::collections::{BTreeMap, VecDeque};

use crate::support::{
    Captures, Client, Mail, Program, Response, Server, crlf, expunge, numbers_before, text,
};

pub struct Script {
    messages: Vec<String>,
    settings: Vec<String>,
    only: Option<(Program, String)>,
    steps: Vec<Step>,
}

struct Step {
    line: usize,
    action: Action,
}

enum Action {
    Command {
        client: u32,
        text: String,
    },
    Continuation {
        client: u32,
        text: String,
    },
    Block {
        client: u32,
        expected: Vec<Expected>,
        others: bool,
    },
    Outside(String),
    Claim(String),
}

struct Expected {
    line: usize,
    text: String,
    /// May change places with its neighbours that are `free` too.
    free: bool,
}

impl Script {
    pub fn parse(text: &str) -> Result<Script, String> {
        let mut script = Script {
            messages: Vec::new(),
            settings: Vec::new(),
            only: None,
            steps: Vec::new(),
        };
        for (at, line) in text.lines().enumerate() {
            let number = at + 1;
            script
                .parse_line(number, line)
                .map_err(|why| format!("line {number}: {why}"))?;
        }
        Ok(script)
    }

    fn parse_line(&mut self, line: usize, text: &str) -> Result<(), String> {
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        let (head, rest) = text.split_once(' ').ok_or("no space")?;
        let words = || rest.split_whitespace().map(str::to_owned);
        let rest = rest.replace("\\r\\n", "\r\n");
        match head {
            "mail:" => self.messages.extend(words()),
            "settings:" => self.settings.extend(words()),
            "only:" => {
                let (program, why) = rest.split_once(' ').ok_or("only: without a reason")?;
                let program = match program {
                    "roost" => Program::Roost,
                    "dovecot" => Program::Dovecot,
                    _ => return Err(format!("no server {program}")),
                };
                self.only = Some((program, why.to_owned()));
            }
            "M:" => self.steps.push(Step {
                line,
                action: Action::Outside(rest),
            }),
            "?" => self.steps.push(Step {
                line,
                action: Action::Claim(rest),
            }),
            _ => {
                let kind = &head[..1];
                let client = head[1..].trim_end_matches([':', '~']);
                let client = if client.is_empty() {
                    Ok(1)
                } else {
                    client.parse()
                };
                let client = client.map_err(|_| format!("what is {head:?}?"))?;
                match kind {
                    "C" => self.steps.push(Step {
                        line,
                        action: Action::Command { client, text: rest },
                    }),
                    "+" => self.steps.push(Step {
                        line,
                        action: Action::Continuation { client, text: rest },
                    }),
                    "S" => self.expect(line, client, rest, head.ends_with('~')),
                    _ => return Err(format!("what is {head:?}?")),
                }
            }
        }
        Ok(())
    }

    fn expect(&mut self, line: usize, in_client: u32, text: String, free: bool) {
        let continues = matches!(self.steps.last(),
            Some(Step { action: Action::Block { client, .. }, .. }) if *client == in_client);
        if !continues {
            let block = Action::Block {
                client: in_client,
                expected: Vec::new(),
                others: false,
            };
            self.steps.push(Step {
                line,
                action: block,
            });
        }
        if let Some(Step {
            action: Action::Block {
                expected, others, ..
            },
            ..
        }) = self.steps.last_mut()
        {
            match text.as_str() {
                "..." => *others = true,
                _ => expected.push(Expected { line, text, free }),
            }
        }
    }

    pub fn reason_to_skip(&self, program: Program) -> Option<&str> {
        self.only
            .as_ref()
            .filter(|(only, _)| only.is_dovecot() != program.is_dovecot())
            .map(|(_, why)| why.as_str())
    }

    /// Holds the conversation; an error says where it went wrong.
    pub fn run(&self, program: Program, loud: bool) -> Result<(), String> {
        let mail = Mail::new();
        for name in &self.messages {
            mail.inbox().store(&text(name), "");
        }
        let settings: Vec<&str> = match program {
            Program::Roost | Program::Daemon => self.settings.iter().map(String::as_str).collect(),
            Program::Dovecot => Vec::new(),
        };
        let mut stage = Stage {
            program,
            settings,
            mail: &mail,
            clients: BTreeMap::new(),
            captures: Captures::new(),
        };
        let result = self.steps.iter().try_for_each(|step| {
            stage
                .play(step)
                .map_err(|why| format!("line {}: {why}", step.line))
        });
        let conversations = stage.conversations();
        if loud {
            eprintln!("{program:?}{conversations}");
        }
        result.map_err(|why| format!("{why}{conversations}"))
    }
}

/// A script being run.
struct Stage<'a> {
    program: Program,
    settings: Vec<&'a str>,
    mail: &'a Mail,
    clients: BTreeMap<u32, Actor>,
    captures: Captures,
}

struct Actor {
    client: Client,
    /// Tags of commands not yet answered.
    pending: VecDeque<String>,
}

impl Stage<'_> {
    fn play(&mut self, step: &Step) -> Result<(), String> {
        match &step.action {
            Action::Command { client, text } => {
                let text = self.substitute(text);
                let actor = self.actor(*client);
                let tag = actor.client.next_tag();
                actor.pending.push_back(tag.clone());
                let mut command = format!("{tag} ").into_bytes();
                for piece in pieces(&text) {
                    match piece {
                        Piece::Text(text) => command.extend_from_slice(text.as_bytes()),
                        Piece::Literal {
                            announced,
                            wait,
                            bytes,
                        } => {
                            command.extend_from_slice(announced.as_bytes());
                            if wait {
                                actor.client.send_raw(&std::mem::take(&mut command));
                                if !actor.client.wait_for_continuation(&tag) {
                                    return Ok(());
                                }
                            }
                            command.extend_from_slice(&bytes);
                        }
                    }
                }
                command.extend_from_slice(b"\r\n");
                actor.client.send_raw(&command);
                Ok(())
            }
            Action::Continuation { client, text } => {
                let text = self.substitute(text);
                self.actor(*client)
                    .client
                    .send_raw(format!("{text}\r\n").as_bytes());
                Ok(())
            }
            Action::Block {
                client,
                expected,
                others,
            } => self.hear(*client, expected, *others),
            Action::Outside(what) => self.outside(what),
            Action::Claim(claim) => self.judge(claim),
        }
    }

    fn actor(&mut self, number: u32) -> &mut Actor {
        let (program, mail, settings) = (self.program, self.mail, &self.settings);
        self.clients.entry(number).or_insert_with(|| Actor {
            client: Server::preauth_of(program, mail, settings),
            pending: VecDeque::new(),
        })
    }

    /// Reads responses until all that is expected has come.
    fn hear(&mut self, number: u32, expected: &[Expected], others: bool) -> Result<(), String> {
        let mut captures = std::mem::take(&mut self.captures);
        let actor = self.actor(number);
        let mut waiting: Vec<&Expected> = expected.iter().collect();
        let outcome = loop {
            let Some(next) = waiting.first() else {
                break Ok(());
            };
            let told = |expected: &&Expected| expected.text.strip_prefix("* ").and_then(expunge);
            let run: Vec<u32> = waiting.iter().map_while(told).collect();
            if run.len() > 1 {
                let heard = actor.hear_expunged(run.len(), others)?;
                if numbers_before(&run) != numbers_before(&heard) {
                    break Err(format!("{run:?} to be expunged, not {heard:?}"));
                }
                waiting.drain(..run.len());
                continue;
            }
            let Some(response) = actor.client.try_read() else {
                let by_now = next.text == "(closed)" && waiting.len() == 1;
                break if by_now {
                    Ok(())
                } else {
                    Err(format!("closed, before {:?}", next.text))
                };
            };
            let free = waiting.iter().take_while(|other| other.free).count().max(1);
            let found = waiting[..free].iter().position(|want| {
                actor.is(&response, &filled(&want.text, &captures), &mut captures)
            });
            match found {
                Some(at) => drop(waiting.remove(at)),
                None if response.is_incidental() || (others && response.is_untagged()) => {}
                None => break Err(format!("{:?} expected (line {})", next.text, next.line)),
            }
        };
        self.captures = captures;
        outcome
    }

    /// What another program does to the files.
    fn outside(&self, what: &str) -> Result<(), String> {
        let inbox = self.mail.inbox();
        let words: Vec<&str> = what.split_whitespace().collect();
        let base = |n: &str| {
            let bases = inbox.bases();
            n.parse::<usize>()
                .ok()
                .and_then(|n| bases.get(n - 1).cloned())
                .ok_or("no such file")
        };
        match words.as_slice() {
            ["deliver", name] => drop(inbox.deliver(&text(name))),
            ["flags", n, letters] => inbox.set_flags(&base(n)?, letters),
            ["remove", n] => inbox.remove(&base(n)?),
            _ => return Err(format!("nobody knows how to {what}")),
        }
        Ok(())
    }

    /// `<m2> > <m1>`
    fn judge(&self, claim: &str) -> Result<(), String> {
        let filled = self.substitute(claim);
        let words: Vec<&str> = filled.split_whitespace().collect();
        let [left, relation, right] = words.as_slice() else {
            return Err(format!("no claim: {filled}"));
        };
        let numbers = left.parse::<u64>().ok().zip(right.parse::<u64>().ok());
        let holds = match (*relation, numbers) {
            ("=", _) => left == right,
            ("!=", _) => left != right,
            (">", Some((left, right))) => left > right,
            (">=", Some((left, right))) => left >= right,
            ("<", Some((left, right))) => left < right,
            ("<=", Some((left, right))) => left <= right,
            _ => return Err(format!("no claim: {filled}")),
        };
        if holds {
            Ok(())
        } else {
            Err(format!("{claim} does not hold: {filled}"))
        }
    }

    fn substitute(&self, text: &str) -> String {
        filled(text, &self.captures)
    }

    fn conversations(&self) -> String {
        let mut all = String::new();
        for (number, actor) in &self.clients {
            all += &format!("\n--- client {number} ---\n{}", actor.client.conversation());
        }
        all
    }
}

impl Actor {
    /// Reads until `count` removals have been told.
    fn hear_expunged(&mut self, count: usize, others: bool) -> Result<Vec<u32>, String> {
        let mut heard = Vec::new();
        while heard.len() < count {
            let response = self
                .client
                .try_read()
                .ok_or("closed, before all was expunged")?;
            match response.expunged() {
                Some(number) => heard.push(number),
                None if response.is_incidental() || (others && response.is_untagged()) => {}
                None => return Err(format!("{} more EXPUNGE expected", count - heard.len())),
            }
        }
        Ok(heard)
    }

    /// Whether the response is the one expected; an answered command is then no longer pending.
    fn is(&mut self, response: &Response, expected: &str, captures: &mut Captures) -> bool {
        if let Some(untagged) = expected.strip_prefix("* ") {
            return response.is_untagged() && response.matches_with(untagged, captures);
        }
        if expected == "+" {
            return response.tag == "+";
        }
        let answers = self.pending.front() == Some(&response.tag);
        let same = answers && response.matches_with(expected, captures);
        if same {
            self.pending.pop_front();
        }
        same
    }
}

enum Piece<'a> {
    Text(&'a str),
    Literal {
        announced: String,
        wait: bool,
        bytes: Vec<u8>,
    },
}

/// A command's text, with `@file` turned into a literal.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    for (at, word) in text.split_inclusive(' ').enumerate() {
        let bare = word.trim_end();
        let (mark, name) = match bare.split_once('@') {
            Some(("", name)) if at > 0 && name.ends_with(".eml") => ("", name),
            Some(("~", name)) if at > 0 && name.ends_with(".eml") => ("~", name),
            _ => {
                pieces.push(Piece::Text(word));
                continue;
            }
        };
        let (plus, name) = name
            .strip_prefix('+')
            .map_or(("", name), |name| ("+", name));
        let bytes = crlf(&crate::support::text(name));
        let announced = format!("{mark}{{{}{plus}}}\r\n", bytes.len());
        pieces.push(Piece::Literal {
            announced,
            wait: plus.is_empty(),
            bytes,
        });
        pieces.push(Piece::Text(&word[bare.len()..]));
    }
    pieces
}

/// The text with each known `<name>` replaced by what it stands for.
fn filled(text: &str, captures: &Captures) -> String {
    let mut text = text.to_owned();
    for (name, value) in captures {
        text = text.replace(&format!("<{name}>"), value);
    }
    text
}
