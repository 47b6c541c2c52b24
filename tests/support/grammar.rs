//! Whether a response is legal: the formal syntax of RFC 3501 section 9 and RFC 9051 section 9 with
//! that of the extensions Roost announces, as a recogniser that allows nothing else.
//!
//! A function is named for the ABNF rule it recognises. Where imap-codec knows the response, it
//! must accept it too ([`beyond_codec`] says what it does not know).

mod fetch;
mod lexical;

use imap_codec::ResponseCodec;
use imap_codec::decode::Decoder;

/// Recognises one response, CRLF included. `utf8`: the client has enabled UTF-8 in strings.
pub fn check(raw: &[u8], utf8: bool) -> Result<(), String> {
    let mut input = Input {
        all: raw,
        at: 0,
        utf8,
    };
    let result = input.response();
    result.map_err(|why| {
        let from = input.at.min(raw.len());
        let near = String::from_utf8_lossy(&raw[from..raw.len().min(from + 60)]).into_owned();
        format!("{why} at {near:?}")
    })?;
    if raw.len() > CODEC_LIMIT || utf8 || beyond_codec(raw) {
        return Ok(());
    }
    match ResponseCodec::default().decode(raw) {
        Ok((b"", _)) => Ok(()),
        Ok((rest, _)) => Err(format!(
            "imap-codec stops before {:?}",
            String::from_utf8_lossy(rest)
        )),
        Err(e) => Err(format!("imap-codec: {e:?}")),
    }
}

/// Whether the response uses what imap-codec 2.0.0-alpha.10 has no grammar for.
fn beyond_codec(raw: &[u8]) -> bool {
    let text = String::from_utf8_lossy(raw);
    let upper = text.to_ascii_uppercase();
    let words = [
        "* ESEARCH",
        "EMAILID (",
        "THREADID",
        "SAVEDATE",
        "PREVIEW ",
        "MAILBOXID",
        "APPENDLIMIT ",
        "BINARY.SIZE[",
        "DELETED ",
        "[MODIFIED ",
        "OLDNAME",
        "CHILDINFO",
    ];
    let deepest = text.bytes().scan(0_i32, |depth, byte| {
        *depth += i32::from(byte == b'(') - i32::from(byte == b')');
        Some(*depth)
    });
    if deepest.max().is_some_and(|depth| depth > 20) {
        return true;
    }
    let binary_part = upper.contains("BINARY[") && (upper.contains("]<") || raw.contains(&0));
    binary_part || words.iter().any(|word| upper.contains(word))
}

const CODEC_LIMIT: usize = 1 << 20;

type Outcome<T = ()> = Result<T, String>;

struct Input<'a> {
    all: &'a [u8],
    at: usize,
    utf8: bool,
}

impl Input<'_> {
    /// `response = *(continue-req / response-data) response-done`, one of them.
    fn response(&mut self) -> Outcome {
        if self.accept(b"+ ") {
            return self.continue_req();
        }
        if self.accept(b"* ") {
            self.response_data()?;
        } else {
            self.tag()?;
            self.sp()?;
            let word = self.word()?;
            match word.as_str() {
                "OK" | "NO" | "BAD" => self.resp_cond()?,
                _ => return Err(format!("{word} in a tagged response")),
            }
        }
        self.expect(b"\r\n")?;
        self.end()
    }

    /// `continue-req = "+" SP (resp-text / base64) CRLF`
    fn continue_req(&mut self) -> Outcome {
        // RFC 3501 7.5: an empty server challenge is "+ " and nothing.
        if !self.accept(b"\r\n") {
            self.resp_text()?;
            self.expect(b"\r\n")?;
        }
        self.end()
    }

    fn response_data(&mut self) -> Outcome {
        if self.peek().is_some_and(|b| b.is_ascii_digit()) {
            let number = self.number()?;
            self.sp()?;
            let word = self.word()?;
            return match word.as_str() {
                "EXISTS" | "RECENT" => Ok(()),
                "EXPUNGE" if number > 0 => Ok(()),
                "FETCH" if number > 0 => {
                    self.sp()?;
                    self.msg_att()
                }
                _ => Err(format!("{number} {word}")),
            };
        }
        let word = self.word()?;
        match word.as_str() {
            "OK" | "NO" | "BAD" | "BYE" | "PREAUTH" => self.resp_cond(),
            "CAPABILITY" => self.capability_data(),
            "ENABLED" => self.while_sp(|input| input.atom().map(drop)),
            "FLAGS" => {
                self.sp()?;
                self.list(|input| input.flag(b""))
            }
            "LIST" | "LSUB" => self.mailbox_list(),
            "SEARCH" => self.mailbox_data_search(),
            "ESEARCH" => self.esearch_response(),
            "STATUS" => self.mailbox_data_status(),
            "NAMESPACE" => self.namespace_response(),
            "VANISHED" => {
                self.sp()?;
                if self.accept(b"(EARLIER)") {
                    self.sp()?;
                }
                self.uid_set()
            }
            "ID" => {
                self.sp()?;
                self.nil_or(|input| {
                    input.list_of_pairs(|input| input.string(), |input| input.nstring())
                })
            }
            _ => Err(format!("unknown response {word}")),
        }
    }

    fn resp_cond(&mut self) -> Outcome {
        self.sp()?;
        self.resp_text()
    }

    /// `resp-text = ["[" resp-text-code "]" SP] text`
    fn resp_text(&mut self) -> Outcome {
        if self.accept(b"[") {
            self.resp_text_code()?;
            self.expect(b"]")?;
            self.sp()?;
        }
        let start = self.at;
        while self.peek().is_some_and(|b| !matches!(b, b'\r' | b'\n' | 0)) {
            if self.peek().is_some_and(|b| b >= 0x80) && !self.utf8 {
                return Err("8-bit text in a status response".into());
            }
            self.at += 1;
        }
        if self.at == start {
            Err("a status response without text".into())
        } else {
            Ok(())
        }
    }

    fn resp_text_code(&mut self) -> Outcome {
        let name = self.word()?;
        match name.as_str() {
            "ALERT"
            | "PARSE"
            | "READ-ONLY"
            | "READ-WRITE"
            | "TRYCREATE"
            | "NOMODSEQ"
            | "CLOSED"
            | "UIDNOTSTICKY"
            | "NOTSAVED"
            | "HASCHILDREN"
            | "UNKNOWN-CTE"
            | "UNAVAILABLE"
            | "AUTHENTICATIONFAILED"
            | "AUTHORIZATIONFAILED"
            | "EXPIRED"
            | "PRIVACYREQUIRED"
            | "CONTACTADMIN"
            | "NOPERM"
            | "INUSE"
            | "EXPUNGEISSUED"
            | "CORRUPTION"
            | "SERVERBUG"
            | "CLIENTBUG"
            | "CANNOT"
            | "LIMIT"
            | "OVERQUOTA"
            | "ALREADYEXISTS"
            | "NONEXISTENT"
            | "USEATTR"
            | "TOOBIG" => Ok(()),
            "BADCHARSET" => {
                if self.accept(b" ") {
                    self.list(|input| input.astring())
                } else {
                    Ok(())
                }
            }
            "CAPABILITY" => self.capability_data(),
            "PERMANENTFLAGS" => {
                self.sp()?;
                self.list(|input| input.flag(b"*"))
            }
            "UIDNEXT" | "UIDVALIDITY" | "UNSEEN" | "HIGHESTMODSEQ" => {
                self.sp()?;
                self.nz_number()
            }
            "APPENDUID" => {
                self.sp()?;
                self.nz_number()?;
                self.sp()?;
                self.uid_set()
            }
            "COPYUID" => {
                self.sp()?;
                self.nz_number()?;
                self.sp()?;
                self.uid_set()?;
                self.sp()?;
                self.uid_set()
            }
            "MODIFIED" => {
                self.sp()?;
                self.uid_set()
            }
            "MAILBOXID" => {
                self.sp()?;
                self.list(|input| input.objectid())
            }
            _ => Err(format!("unknown response code {name}")),
        }
    }

    /// `capability-data = "CAPABILITY" *(SP capability) SP "IMAP4rev1" *(SP capability)`
    fn capability_data(&mut self) -> Outcome {
        let mut names = Vec::new();
        self.while_sp(|input| {
            names.push(input.atom()?);
            Ok(())
        })?;
        if !names
            .iter()
            .any(|name| name == "IMAP4rev1" || name == "IMAP4rev2")
        {
            return Err("CAPABILITY without IMAP4rev1".into());
        }
        let mut unique = names.clone();
        unique.sort();
        unique.dedup();
        if unique.len() < names.len() {
            Err("a capability twice".into())
        } else {
            Ok(())
        }
    }

    /// `mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox
    /// [SP mbox-list-extended]`
    fn mailbox_list(&mut self) -> Outcome {
        self.sp()?;
        self.list(|input| {
            input.expect(b"\\")?;
            input.atom().map(drop)
        })?;
        self.sp()?;
        if !self.accept_nil() {
            let start = self.at;
            self.quoted()?;
            if !matches!(self.at - start, 3 | 4) {
                return Err("a hierarchy separator of several characters".into());
            }
        }
        self.sp()?;
        self.mailbox()?;
        if self.accept(b" ") {
            self.list_of_pairs(|input| input.astring(), |input| input.tagged_ext_val())?;
        }
        Ok(())
    }

    /// `tagged-ext-val = tagged-ext-simple / "(" [tagged-ext-comp] ")"`
    fn tagged_ext_val(&mut self) -> Outcome {
        if self.peek() == Some(b'(') {
            self.list(|input| input.tagged_ext_val())
        } else {
            self.astring()
        }
    }

    /// `"SEARCH" *(SP nz-number) [SP search-sort-mod-seq]`
    fn mailbox_data_search(&mut self) -> Outcome {
        self.while_sp(|input| {
            if input.accept(b"(MODSEQ ") {
                input.nz_number()?;
                input.expect(b")")?;
                return match input.peek() {
                    Some(b'\r') => Ok(()),
                    _ => Err("something after (MODSEQ n)".into()),
                };
            }
            input.nz_number()
        })
    }

    /// `esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)`
    fn esearch_response(&mut self) -> Outcome {
        if self.accept(b" (TAG ") {
            self.string()?;
            self.expect(b")")?;
        }
        let mut first = true;
        self.while_sp(|input| {
            let name = input.word()?;
            let is_uid = first && name == "UID";
            first = false;
            match name.as_str() {
                _ if is_uid => Ok(()),
                "MIN" | "MAX" | "MODSEQ" => {
                    input.sp()?;
                    input.nz_number()
                }
                "COUNT" => {
                    input.sp()?;
                    input.number().map(drop)
                }
                "ALL" => {
                    input.sp()?;
                    input.uid_set()
                }
                _ => Err(format!("unknown search result {name}")),
            }
        })
    }

    /// `"STATUS" SP mailbox SP "(" [status-att-list] ")"`
    fn mailbox_data_status(&mut self) -> Outcome {
        self.sp()?;
        self.mailbox()?;
        self.sp()?;
        self.list(|input| {
            let name = input.word()?;
            input.sp()?;
            match name.as_str() {
                "MESSAGES" | "RECENT" | "UNSEEN" | "SIZE" | "DELETED" | "HIGHESTMODSEQ" => {
                    input.number().map(drop)
                }
                "UIDNEXT" | "UIDVALIDITY" => input.nz_number(),
                "APPENDLIMIT" => input.nil_or(|input| input.number().map(drop)),
                "MAILBOXID" => input.list(|input| input.objectid()),
                _ => Err(format!("unknown STATUS item {name}")),
            }
        })
    }

    /// `namespace-response = "NAMESPACE" SP namespace SP namespace SP namespace`
    fn namespace_response(&mut self) -> Outcome {
        for _ in 0..3 {
            self.sp()?;
            self.nil_or(|input| {
                input.expect(b"(")?;
                while !input.accept(b")") {
                    input.expect(b"(")?;
                    input.string()?;
                    input.sp()?;
                    input.nil_or(|input| input.quoted())?;
                    input.expect(b")")?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
