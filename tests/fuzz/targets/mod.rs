//! What the fuzz targets do with an input: hand it to a parser and hold it to what is promised of
//! any input. None may panic, and where bytes come in pieces, where they are cut does not matter.
//!
//! Used twice: by the fuzzer (`../fuzz_targets`), and by `tests/corpus.rs`, which replays what was
//! found.

mod auth;
mod courier;
mod files;
mod folder;
mod front;
mod ipc;
mod message;
mod protocol;
mod session;
mod settings;

/// The formal syntax of responses, written independently of what writes them.
#[path = "../../support"]
mod support {
    pub mod grammar;
}

pub struct Target {
    pub name: &'static str,
    /// The folders of `tests/corpus` that hold inputs for it.
    pub corpora: &'static [&'static str],
    pub run: fn(&[u8]),
}

/// One for each file in `../fuzz_targets`, by name.
pub const TARGETS: &[Target] = &[
    Target {
        name: "cache",
        corpora: &["caches"],
        run: files::cache,
    },
    Target {
        name: "command",
        corpora: &["commands"],
        run: protocol::command,
    },
    Target {
        name: "compressed",
        corpora: &["compressed"],
        run: session::compressed,
    },
    Target {
        name: "courier",
        corpora: &["couriers"],
        run: courier::courier,
    },
    Target {
        name: "dialogue",
        corpora: &["dialogues", "commands"],
        run: protocol::dialogue,
    },
    Target {
        name: "fetch",
        corpora: &["fetches"],
        run: protocol::fetch,
    },
    Target {
        name: "filename",
        corpora: &["filenames"],
        run: files::filename,
    },
    Target {
        name: "folder",
        corpora: &["folders"],
        run: folder::folder,
    },
    Target {
        name: "header",
        corpora: &["headers", "mime", "messages"],
        run: message::header,
    },
    Target {
        name: "ipc",
        corpora: &["ipc"],
        run: ipc::ipc,
    },
    Target {
        name: "keywords",
        corpora: &["keywords"],
        run: files::keywords,
    },
    Target {
        name: "mime",
        corpora: &["mime", "messages"],
        run: message::mime,
    },
    Target {
        name: "modseq_log",
        corpora: &["modseq_logs"],
        run: folder::modseq_log,
    },
    Target {
        name: "passwd_file",
        corpora: &["passwd_files"],
        run: auth::passwd_file,
    },
    Target {
        name: "prelogin",
        corpora: &["prelogin", "dialogues"],
        run: front::prelogin,
    },
    Target {
        name: "proxy",
        corpora: &["proxy_headers"],
        run: protocol::proxy,
    },
    Target {
        name: "sasl_socket",
        corpora: &["sasl_socket"],
        run: front::sasl_socket,
    },
    Target {
        name: "scheme",
        corpora: &["schemes"],
        run: auth::scheme,
    },
    Target {
        name: "scram",
        corpora: &["scrams"],
        run: auth::scram,
    },
    Target {
        name: "search",
        corpora: &["searches"],
        run: protocol::search,
    },
    Target {
        name: "session",
        corpora: &["sessions"],
        run: session::session,
    },
    Target {
        name: "settings",
        corpora: &["settings"],
        run: settings::settings,
    },
    Target {
        name: "subscriptions",
        corpora: &["subscriptions"],
        run: files::subscriptions,
    },
    Target {
        name: "syntax",
        corpora: &["syntax", "commands"],
        run: protocol::syntax,
    },
    Target {
        name: "text",
        corpora: &["texts"],
        run: message::text,
    },
    Target {
        name: "transfer",
        corpora: &["transfer"],
        run: message::transfer,
    },
    Target {
        name: "uidlist",
        corpora: &["uidlists"],
        run: files::uidlist,
    },
];

/// Does what the target of that name does.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("there is no target {name}"));
    (target.run)(input);
}

/// The input cut into pieces in several ways: as a whole, into single octets, and at places that
/// depend on the input, so that they are the same at every replay.
fn cuttings(input: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut random = input.iter().fold(0x9e37_79b9_u32, |sum, &byte| {
        (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let mut cut = |longest: u32| {
        let mut pieces = Vec::new();
        let mut rest = input;
        while !rest.is_empty() {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let length = 1 + ((random >> 8) % longest) as usize;
            let (piece, after) = rest.split_at(length.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces
    };
    let (short, long) = (cut(7), cut(1000));
    vec![vec![input], input.chunks(1).collect(), short, long]
}

/// Panics if that is no response a client can read.
fn legal(line: &[u8]) {
    // imap-codec gives up on parts nested deeper than it likes; with `utf8` it is not asked.
    let nested = line
        .iter()
        .scan(0_i32, |depth, byte| {
            *depth += i32::from(*byte == b'(') - i32::from(*byte == b')');
            Some(*depth)
        })
        .max();
    let utf8 = nested.is_some_and(|depth| depth > 6);
    if let Err(why) = support::grammar::check(line, utf8) {
        panic!("{why}: {}", String::from_utf8_lossy(line));
    }
}
