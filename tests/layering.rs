//! Who may use whom in `src/`: the table of the layers, enforced.
//!
//! Reads every source file without its comments, strings and test code, and names file, line and
//! rule for whatever is out of place: a module of ours that a layer may not name, or a piece of the
//! outside world (files, network, clock, event loop, TLS) that belongs to another layer. `unsafe`
//! outside `sys` is the compiler's to refuse (`lib.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

struct Layer {
    name: &'static str,
    /// The modules of ours it may name besides itself.
    may_name: &'static [&'static str],
    /// What it may touch anywhere in it.
    may_touch: &'static [Touch],
    /// What single files (or folders, ending in `/`) of it may touch besides.
    files: &'static [(&'static str, &'static [Touch])],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Touch {
    Io,
    Files,
    Network,
    Processes,
    Threads,
    Environment,
    Clock,
    EventLoop,
    Tls,
    Watch,
    System,
}

use Touch::*;

/// The table. `main` and `lib` tie everything together and may name what they like.
const LAYERS: &[Layer] = &[
    Layer {
        name: "sys",
        may_name: &[],
        may_touch: &[Io, Files, Processes, System],
        files: &[
            ("bind_options.rs", &[Network]),
            ("sandbox.rs", &[Environment]),
            ("spawn.rs", &[Environment]),
            ("title.rs", &[Environment]),
        ],
    },
    Layer {
        name: "config",
        may_name: &["mail"],
        may_touch: &[],
        files: &[],
    },
    Layer {
        name: "log",
        may_name: &["config", "sys"],
        may_touch: &[Io, Environment, Clock],
        files: &[],
    },
    Layer {
        name: "mail",
        may_name: &[],
        may_touch: &[],
        files: &[],
    },
    Layer {
        name: "message",
        may_name: &["mail"],
        may_touch: &[],
        files: &[],
    },
    Layer {
        name: "imap",
        may_name: &["mail", "message"],
        may_touch: &[],
        files: &[],
    },
    Layer {
        name: "dovecot_auth",
        may_name: &[],
        may_touch: &[],
        files: &[],
    },
    Layer {
        name: "maildir",
        may_name: &["log", "mail", "message", "sys"],
        may_touch: &[Io],
        files: &[
            ("disk/dir.rs", FILES),
            ("disk/dir/", FILES),
            ("disk/watch.rs", &[Watch, Threads]),
            ("disk/watch/ask.rs", &[Watch, Threads]),
        ],
    },
    Layer {
        name: "net",
        may_name: &["sys"],
        may_touch: &[Io, Network, EventLoop, System],
        files: &[
            ("accept.rs", &[Clock]),
            ("mod.rs", &[Clock]),
            ("tls.rs", &[Tls]),
            ("tls/", &[Tls]),
            ("turns.rs", &[Clock]),
        ],
    },
    Layer {
        name: "ipc",
        may_name: &["mail", "config", "sys"],
        may_touch: &[Io, Network],
        files: &[("channel.rs", &[System])],
    },
    Layer {
        name: "auth",
        may_name: &["dovecot_auth", "mail", "config", "ipc", "log", "sys"],
        may_touch: &[Io],
        files: &[
            ("source/", &[Files]),
            ("source/dovecot/", &[Network]),
            ("reach.rs", &[Files]),
            ("files.rs", &[Files, Processes]),
        ],
    },
    Layer {
        name: "monitor",
        may_name: &["mail", "auth", "ipc", "net", "log", "config", "sys"],
        may_touch: &[Io, Files, Network, Processes, System],
        files: &[],
    },
    Layer {
        name: "store",
        may_name: &["config", "log", "mail", "maildir", "message", "net"],
        may_touch: &[Io],
        files: &[],
    },
    Layer {
        name: "session",
        may_name: &[
            "imap", "mail", "message", "maildir", "store", "net", "ipc", "config", "log", "sys",
        ],
        may_touch: &[Io],
        files: &[],
    },
    Layer {
        name: "front",
        may_name: &[
            "dovecot_auth",
            "mail",
            "imap",
            "net",
            "ipc",
            "config",
            "log",
            "sys",
        ],
        may_touch: &[Io, Network],
        files: &[],
    },
    Layer {
        name: "solo",
        may_name: &[
            "front", "session", "net", "ipc", "config", "log", "sys", "imap", "mail", "maildir",
        ],
        may_touch: &[Io, Network, Files, Environment],
        files: &[],
    },
    Layer {
        name: "import",
        may_name: &["config"],
        may_touch: &[],
        files: &[],
    },
    Layer {
        name: "commands",
        may_name: &[
            "mail", "config", "import", "monitor", "net", "auth", "solo", "sys",
        ],
        may_touch: &[Io, Files],
        files: &[],
    },
];

/// What `maildir/disk/dir.rs`, the only code that touches mail files, needs.
const FILES: &[Touch] = &[Files, System, Processes];

/// How each part of the outside world shows in the source.
const SIGNS: &[(&str, Touch)] = &[
    ("std::io", Io),
    ("std::fs", Files),
    ("File::open", Files),
    ("File::create", Files),
    ("OpenOptions", Files),
    ("std::os::unix::fs", Files),
    ("std::net", Network),
    ("std::os::unix::net", Network),
    ("std::process", Processes),
    ("std::thread", Threads),
    ("std::env", Environment),
    ("Instant::now", Clock),
    ("SystemTime::now", Clock),
    ("mio::", EventLoop),
    ("rustls::", Tls),
    ("rcgen::", Tls),
    ("notify::", Watch),
    ("nix::", System),
    ("libc::", System),
];

#[test]
fn every_layer_names_only_what_it_may() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(layer) = layer_of(&source.path) else {
            continue;
        };
        for (line, named) in source.modules_named() {
            if named != layer.name && !layer.may_name.contains(&named.as_str()) {
                wrong.push(format!(
                    "{}:{line}: {} may not name {named}",
                    source.path, layer.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_layer_touches_only_what_it_may() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(layer) = layer_of(&source.path) else {
            continue;
        };
        let within = source.path.split_once('/').map_or("", |(_, within)| within);
        let here = layer.files.iter().filter(|(file, _)| {
            within == *file || (file.ends_with('/') && within.starts_with(file))
        });
        let allowed: Vec<Touch> = here
            .flat_map(|(_, touches)| *touches)
            .chain(layer.may_touch)
            .copied()
            .collect();
        for (number, line) in source.code.lines().enumerate() {
            for (sign, touch) in SIGNS {
                if names(line, sign) && !allowed.contains(touch) {
                    let number = number + 1;
                    wrong.push(format!("{}:{number}: {sign} ({touch:?})", source.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// The groups of files within `maildir/`, each with those it may name besides itself.
const MAILDIR: &[(&str, &[&str])] = &[
    ("disk", &[]),
    ("dovecot", &["disk"]),
    ("folder/state", &["disk"]),
    ("own", &["disk", "folder/state"]),
    ("tree", &["disk", "dovecot"]),
    ("courier", &["disk", "tree"]),
    (
        "folder",
        &["courier", "disk", "dovecot", "folder/state", "own"],
    ),
];

#[test]
fn every_group_of_maildir_names_only_what_it_may() {
    let group_of = |within: &str| {
        let is_in = |group: &&(&str, &[&str])| {
            within == group.0 || within.starts_with(&format!("{}/", group.0))
        };
        MAILDIR
            .iter()
            .filter(is_in)
            .max_by_key(|group| group.0.len())
    };
    let mut wrong = Vec::new();
    for source in sources() {
        let within = source.path.strip_prefix("maildir/");
        let Some((group, may_name)) =
            within.and_then(|path| group_of(path.trim_end_matches(".rs")))
        else {
            continue;
        };
        for (line, named) in source.paths_named("maildir") {
            if let Some((other, _)) = group_of(&named)
                && other != group
                && !may_name.contains(other)
            {
                let path = &source.path;
                wrong.push(format!("{path}:{line}: {group} may not name {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Names that several types share, and why.  Types that a file keeps to itself do not count.
const SHARED: &[(&str, &str)] = &[
    (
        "Account",
        "of a user as the kernel knows it, and as the login found it",
    ),
    ("Answer", "each goes with the Question or Asker beside it"),
    ("Asker", "each goes with the Answer beside it"),
    (
        "At",
        "an extension of Result and Option in each layer that adds a place to errors",
    ),
    (
        "Change",
        "of a source that the loop watches, and of a message",
    ),
    ("Command", "of the grammar, and at work"),
    (
        "Connection",
        "of a client in each layer that holds a part of it",
    ),
    ("Event", "what a connection or a watch tells"),
    ("Exchange", "of SCRAM's messages, and of any mechanism's"),
    ("Judgement", "of a login, and of what was seen of a message"),
    ("Part", "of a MIME tree, and of a message between processes"),
    (
        "Place",
        "of a session's mail, and of a message in its folder",
    ),
    ("Places", "for clients, and for a message's file"),
    ("Question", "each goes with the Answer beside it"),
    ("Reader", "of IMAP, and of messages between processes"),
    (
        "Role",
        "of a process, and what the command line makes of it",
    ),
    (
        "State",
        "of a connection before and after login, and of an attempt",
    ),
    ("Step", "how far something resumable came"),
    ("Told", "to clients, and by the simulated world"),
    (
        "Wrong",
        "what a parser of settings or of messages does not take",
    ),
];

#[test]
fn a_type_that_leaves_its_file_has_a_name_of_its_own() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources() {
        for line in source.code.lines() {
            let Some(visible) = line.strip_prefix("pub") else {
                continue;
            };
            let declared = match visible.strip_prefix('(') {
                Some(restricted) => restricted.split_once(") ").map_or("", |(_, rest)| rest),
                None => visible.trim_start(),
            };
            let kinds = ["struct ", "enum ", "trait ", "type ", "union "];
            if let Some(rest) = kinds.iter().find_map(|kind| declared.strip_prefix(kind)) {
                places
                    .entry(identifier(rest))
                    .or_default()
                    .push(source.path.clone());
            }
        }
    }
    assert!(places.len() > 400, "{} types", places.len());
    let mut wrong = Vec::new();
    for (name, paths) in &places {
        let is_listed = SHARED.iter().any(|(shared, _)| shared == name);
        if is_listed != (paths.len() > 1) {
            wrong.push(format!("{name}: {}", paths.join(", ")));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_module_has_its_line_in_the_table() {
    let modules: BTreeSet<String> = sources().iter().map(|source| top(&source.path)).collect();
    for module in modules {
        let known = ["main", "lib"].contains(&module.as_str()) || layer_of(&module).is_some();
        assert!(known, "src/{module} has no line in the table of layers");
    }
}

#[test]
fn every_module_is_on_the_map() {
    let map = fs::read_to_string(source_root().join("lib.rs")).expect("lib.rs");
    for layer in LAYERS {
        let row = format!("//! | [`{}`] |", layer.name);
        assert!(map.contains(&row), "lib.rs has no row for {}", layer.name);
    }
}

#[test]
fn the_walk_of_a_byte_leads_through_files_that_are_there() {
    for (text, base) in [
        ("src/lib.rs", "src"),
        ("README.md", "src"),
        ("src/maildir/mod.rs", "src/maildir"),
    ] {
        let root = source_root().with_file_name("");
        let text = fs::read_to_string(root.join(text)).expect("a text");
        let named = text.split('`').filter(|word| word.ends_with(".rs"));
        for file in named.filter(|file| !file.starts_with("tests/")) {
            let mut bases = [base, "src"].into_iter();
            let is_there = bases.any(|base| root.join(base).join(file).exists());
            assert!(is_there, "there is no {base}/{file}");
        }
    }
}

#[test]
fn the_table_at_the_head_of_a_module_names_its_files_and_no_others() {
    let mut wrong = Vec::new();
    for path in files_below(&source_root()) {
        let text = fs::read_to_string(&path).expect("a source file");
        let table: BTreeSet<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("//! | `")?.split(" | ").next())
            .flat_map(|names| names.split(['`', ',', ' ']))
            .filter(|name| !name.is_empty() && *name != "mod")
            .collect();
        if !text.contains("//! | file | ") {
            continue;
        }
        let code = without_tests(&without_comments(&text)).0;
        let files: BTreeSet<&str> = code
            .lines()
            .filter_map(|line| line.strip_suffix(';')?.split_once("mod "))
            .filter(|(before, _)| before.is_empty() || before.starts_with("pub"))
            .map(|(_, name)| name)
            .collect();
        for name in table.symmetric_difference(&files) {
            wrong.push(format!("{}: {name}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn prose_ends_at_column_100_and_has_one_space_after_a_colon() {
    let mut wrong = Vec::new();
    let root = source_root().with_file_name("");
    let mut files = vec![root.join("README.md")];
    for folder in ["src", "tests", "crates"] {
        files.extend(files_below(&root.join(folder)));
    }
    for path in files {
        let text = fs::read_to_string(&path).expect("a text");
        let is_prose = path.extension().is_some_and(|extension| extension == "md");
        for (line, number) in text.lines().zip(1..) {
            let start = line.trim_start();
            let comment = start
                .starts_with("//")
                .then(|| start.trim_start_matches(['/', '!', ' ']));
            let Some(prose) = comment.or(is_prose.then_some(start)) else {
                continue;
            };
            // A row of a table is one line.
            let is_row = prose.starts_with("| ");
            if (line.chars().count() > 100 && !is_row) || (!is_prose && prose.contains(":  ")) {
                wrong.push(format!("{}:{number}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn comments_strings_and_tests_are_no_code() {
    let text = "use a; // std::fs\n/* std::net /* nested */ */ let s = \"std::env\\\"\"; let c = '\"';\n\
                #[cfg(test)]\nmod tests { use std::fs; }\nuse b;\n";
    let code = without_tests(&without_comments(text)).0;
    assert!(!code.contains("std::"), "{code}");
    assert!(code.contains("use a;") && code.contains("use b;"), "{code}");
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn grouped_names_are_found() {
    let source = Source {
        path: "imap/x.rs".into(),
        code: "use crate::{maildir::{Dir, tree}, net};\nlet x = crate::config::Config;\n".into(),
    };
    let named: Vec<String> = source
        .modules_named()
        .into_iter()
        .map(|(_, name)| name)
        .collect();
    assert_eq!(named, ["maildir", "net", "config"]);
}

struct Source {
    /// Below `src/`.
    path: String,
    /// The text with comments, strings and test code blanked out; lines are where they were.
    code: String,
}

impl Source {
    /// The modules of ours it names, with the lines: `crate::name`, `crate::{name, ..}`, and
    /// `super::` as far up as the crate.
    fn modules_named(&self) -> Vec<(usize, String)> {
        let mut named = Vec::new();
        let depth = self.path.trim_end_matches("/mod.rs").matches('/').count() + 1;
        let to_crate = "super::".repeat(depth);
        for root in ["crate::", to_crate.as_str()] {
            for (at, _) in self.code.match_indices(root) {
                let line = self.code[..at].matches('\n').count() + 1;
                let rest = &self.code[at + root.len()..];
                match rest.strip_prefix('{') {
                    Some(group) => named.extend(first_names(group).into_iter().map(|n| (line, n))),
                    None => named.push((line, identifier(rest))),
                }
            }
        }
        // `crate::Thing` of lib.rs itself, and `crate::{` split names, are no modules.
        named.retain(|(_, name)| name.starts_with(|c: char| c.is_ascii_lowercase()));
        named
    }

    /// The modules of one layer that it names, as `folder/state`, with the lines; groups in braces
    /// are looked into one level deep.
    fn paths_named(&self, layer: &str) -> Vec<(usize, String)> {
        let mut named = Vec::new();
        let mut roots = vec![format!("crate::{layer}::")];
        let depth = self.path.trim_end_matches("/mod.rs").matches('/').count();
        if self.path.starts_with(&format!("{layer}/")) {
            roots.push("super::".repeat(depth));
        }
        for root in roots {
            for (at, _) in self.code.match_indices(&root) {
                if self.code[..at].ends_with("super::") {
                    continue;
                }
                let line = self.code[..at].matches('\n').count() + 1;
                let path = self.code[at + root.len()..]
                    .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
                    .next()
                    .unwrap_or("");
                named.push((line, path.replace("::", "/")));
            }
        }
        named
    }
}

fn sources() -> Vec<Source> {
    let root = source_root();
    let mut sources = Vec::new();
    let mut test_files = BTreeSet::new();
    for path in files_below(&root) {
        let text = fs::read_to_string(&path).expect("a source file");
        let (code, test_modules) = without_tests(&without_comments(&text));
        let stem = path.with_extension("");
        let directory = match path.file_name().and_then(|name| name.to_str()) {
            Some("mod.rs" | "lib.rs" | "main.rs") => path.parent().expect("a parent").to_owned(),
            _ => stem,
        };
        for module in test_modules {
            test_files.insert(directory.join(format!("{module}.rs")));
            test_files.insert(directory.join(module));
        }
        let path = path
            .strip_prefix(&root)
            .expect("below src")
            .to_string_lossy()
            .into_owned();
        sources.push(Source { path, code });
    }
    sources.retain(|source| {
        let path = root.join(&source.path);
        !path.ancestors().any(|above| test_files.contains(above))
    });
    sources
}

fn source_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// `imap` for `imap/fetch.rs`, `solo` for `solo.rs`.
fn top(path: &str) -> String {
    path.split('/')
        .next()
        .unwrap_or("")
        .trim_end_matches(".rs")
        .to_owned()
}

fn layer_of(path: &str) -> Option<&'static Layer> {
    let top = top(path);
    LAYERS.iter().find(|layer| layer.name == top)
}

/// The text with comments and the insides of strings turned into blanks.
fn without_comments(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let skipped = if rest.starts_with(b"//") {
            rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            block_comment(rest)
        } else if rest.starts_with(b"r\"") || rest.starts_with(b"r#") || rest.starts_with(b"br") {
            raw_string(rest)
        } else if rest.starts_with(b"\"") {
            string(rest)
        } else if rest.starts_with(b"'") {
            character(rest)
        } else {
            0
        };
        if skipped == 0 {
            code.push(if rest[0].is_ascii() {
                char::from(rest[0])
            } else {
                ' '
            });
            at += 1;
        } else {
            let blank = |&b: &u8| if b == b'\n' { '\n' } else { ' ' };
            code.extend(rest[..skipped].iter().map(blank));
            at += skipped;
        }
    }
    code
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// `r"..."`, `r#"..."#`, `br"..."`; 0 if it is none.
fn raw_string(rest: &[u8]) -> usize {
    let start = rest.iter().position(|&b| b == b'r').unwrap_or(0) + 1;
    let hashes = rest[start..].iter().take_while(|&&b| b == b'#').count();
    if rest.get(start + hashes) != Some(&b'"') {
        return 0;
    }
    let end = [&b"\""[..], &b"#".repeat(hashes)].concat();
    let body = start + hashes + 1;
    let length = rest[body..]
        .windows(end.len())
        .position(|window| window == end);
    length.map_or(rest.len(), |length| body + length + end.len())
}

fn string(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// `'x'`, `'\n'`; 0 for a lifetime.
fn character(rest: &[u8]) -> usize {
    match rest {
        [_, b'\\', ..] => rest
            .iter()
            .skip(3)
            .position(|&b| b == b'\'')
            .map_or(0, |at| at + 4),
        [_, _, b'\'', ..] => 3,
        _ => 0,
    }
}

/// Blanks out items marked `#[cfg(test)]`; also gives the modules among them that are other files.
fn without_tests(code: &str) -> (String, Vec<String>) {
    const MARK: &str = "#[cfg(test)]";
    let mut code = code.to_owned();
    let mut modules = Vec::new();
    while let Some(start) = code.find(MARK) {
        let item = &code[start + MARK.len()..];
        let semicolon = item.find(';').unwrap_or(item.len());
        let brace = item.find('{').unwrap_or(item.len());
        let length = if semicolon < brace {
            semicolon + 1
        } else {
            brace + braces(&item[brace..])
        };
        let item = &item[..length.min(item.len())];
        if let Some(module) = item.trim_end_matches(';').rsplit("mod ").next()
            && item.contains("mod ")
            && item.ends_with(';')
        {
            modules.push(module.trim().to_owned());
        }
        let end = start + MARK.len() + item.len();
        let blank: String = code[start..end]
            .chars()
            .map(|c| if c == '\n' { '\n' } else { ' ' })
            .collect();
        code.replace_range(start..end, &blank);
    }
    (code, modules)
}

/// The length of what the first brace opens.
fn braces(text: &str) -> usize {
    let mut depth = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// The first name of each element of `{a::b, c::{d, e}}`, after the brace.
fn first_names(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut expects_name = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expects_name = true,
            c if c.is_whitespace() => {}
            _ if expects_name && depth == 0 => {
                names.push(identifier(&group[at..]));
                expects_name = false;
            }
            _ => {}
        }
    }
    names
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Whether the line has the sign as a path of its own, not as the end of a longer one:
/// `crate::x::notify::` is no `notify::`. An open `std::fs::File` may be handed around by
/// whoever may do I/O; opening it is what touches files.
fn names(line: &str, sign: &str) -> bool {
    line.match_indices(sign).any(|(at, _)| {
        if line[at..]
            .strip_prefix("std::fs::File")
            .is_some_and(|rest| !rest.starts_with("::"))
        {
            return false;
        }
        let before = line[..at].chars().next_back();
        let tail = sign.contains("now") || sign.starts_with("File") || sign == "OpenOptions";
        let own = tail || before != Some(':');
        own && !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}
