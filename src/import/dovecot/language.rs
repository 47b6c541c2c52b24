//! The language of Dovecot's configuration: that of 2.3 and that of 2.4 at once.
//!
//! An upgrade of the system can leave files of both side by side, which no Dovecot reads.  So what
//! a line means never depends on the version that some file claims.  What one of the two languages
//! has and the other has not is read wherever it stands.

use std::rc::Rc;

use super::super::{Files, Place, Unreadable};
use super::glob;

/// A section with all that is in it, in order.  The configuration itself is one without a name.
#[derive(Clone, Debug)]
pub struct Block {
    /// `passdb`
    pub kind: String,
    /// `pam`; or empty.
    pub argument: String,
    pub place: Place,
    pub items: Vec<Item>,
}

#[derive(Clone, Debug)]
pub enum Item {
    Setting(DovecotSetting),
    Block(Block),
}

#[derive(Clone, Debug)]
pub struct DovecotSetting {
    pub name: String,
    pub value: String,
    pub form: ValueForm,
    pub place: Place,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueForm {
    Text,
    /// `<PATH`: what is in the file.  The value is the path.
    File,
    /// doveconf does not show it.
    Hidden,
}

/// Reads the file at `path`, and what it includes.
pub fn read_file(path: &str, files: &dyn Files) -> Result<Block, Unreadable> {
    let mut reader = Reader::new(files);
    let start = Place::start(path);
    reader.file(path, &start)?;
    reader.finish()
}

/// Reads a text, as `doveconf -n` prints it.
pub fn read_text(name: &str, text: &str, files: &dyn Files) -> Result<Block, Unreadable> {
    let mut reader = Reader::new(files);
    reader.text(name, text)?;
    reader.finish()
}

struct Reader<'a> {
    files: &'a dyn Files,
    /// The sections that are open, the outermost first.
    open: Vec<Block>,
    /// The files that are being read.
    above: Vec<String>,
    read: usize,
}

impl<'a> Reader<'a> {
    fn new(files: &'a dyn Files) -> Reader<'a> {
        Reader {
            files,
            open: vec![Block::new("", "", Place::start(""))],
            above: Vec::new(),
            read: 0,
        }
    }

    fn finish(mut self) -> Result<Block, Unreadable> {
        match (self.open.pop(), self.open.pop()) {
            (Some(whole), None) => Ok(whole),
            (Some(section), _) => {
                let text = format!(
                    "the section {} that begins here is not closed",
                    section.kind
                );
                Err(Unreadable::at(&section.place, text))
            }
            (None, _) => Err(Unreadable::at(&Place::start(""), "there is a } too many")),
        }
    }

    fn file(&mut self, path: &str, place: &Place) -> Result<(), Unreadable> {
        let is_above = self.above.iter().any(|above| above == path);
        self.read += 1;
        if is_above || self.above.len() >= DEPTH_MAX || self.read > FILES_MAX {
            let text = match is_above {
                true => format!("{path} includes itself"),
                false => format!("{path}: too many files are included"),
            };
            return Err(Unreadable::at(place, text));
        }
        let text = self.files.read(path);
        let text = text.map_err(|error| Unreadable::at(place, format!("{path}: {error}")))?;
        self.above.push(path.to_owned());
        let read = self.text(path, &text);
        self.above.pop();
        read
    }

    fn text(&mut self, name: &str, text: &str) -> Result<(), Unreadable> {
        let name: Rc<str> = Rc::from(name);
        let mut lines = text.lines().zip(1..);
        while let Some((first, line)) = lines.next() {
            let place = Place {
                file: Rc::clone(&name),
                line,
            };
            if first.contains('\0') {
                return Err(Unreadable::at(&place, "this is no text"));
            }
            if first.trim_start().starts_with('#') {
                continue;
            }
            let mut whole = first.trim_end().to_owned();
            // A backslash at the end joins the next line.
            while let Some(begun) = whole.strip_suffix('\\') {
                let Some((next, _)) = lines.next() else {
                    whole = begun.to_owned();
                    break;
                };
                whole = format!("{} {}", begun.trim_end(), next.trim());
            }
            if let Some((begun, word)) = whole.split_once("<<<") {
                let (begun, word) = (begun.trim_end(), word.trim());
                let mut inside = Vec::new();
                loop {
                    match lines.next() {
                        Some((end, _)) if end.trim() == word => break,
                        Some((line, _)) => inside.push(line),
                        None => {
                            let text = format!("the text that ends with {word} does not end");
                            return Err(Unreadable::at(&place, text));
                        }
                    }
                }
                if let Some(name) = begun.strip_suffix('=') {
                    self.setting(name.trim(), &inside.join("\n"), &place);
                }
                continue;
            }
            self.line(&whole, &place)?;
        }
        Ok(())
    }

    fn line(&mut self, line: &str, place: &Place) -> Result<(), Unreadable> {
        let line = line.trim();
        // doveconf has this in the place of a password, and of the path of a key.
        if let Some((name, _)) = line.split_once("= # hidden") {
            self.add(Item::Setting(DovecotSetting {
                name: name.trim().to_owned(),
                value: String::new(),
                form: ValueForm::Hidden,
                place: place.clone(),
            }));
            return Ok(());
        }
        let line = without_comment(line).trim();
        if line.is_empty() {
            return Ok(());
        }
        if let Some(rest) = line.strip_prefix('}') {
            self.close(place)?;
            return self.line(rest, place);
        }
        if let Some(rest) = line.strip_prefix('!') {
            return self.include(rest, place);
        }
        let end = line.find(|c: char| c.is_whitespace() || "={".contains(c));
        let (name, rest) = line
            .split_at_checked(end.unwrap_or(line.len()))
            .unwrap_or_default();
        let rest = rest.trim_start();
        if let Some(value) = rest.strip_prefix('=') {
            self.value(name, value.trim(), place);
            return Ok(());
        }
        let Some((argument, inside)) = rest.split_once('{').filter(|_| !name.is_empty()) else {
            let text = "this is neither NAME = VALUE nor the beginning of a section";
            return Err(Unreadable::at(place, text));
        };
        let argument = unquoted(argument.trim());
        self.open.push(Block::new(name, &argument, place.clone()));
        if self.open.len() > DEPTH_MAX {
            return Err(Unreadable::at(place, "sections are too deep in each other"));
        }
        self.one_line_section(inside.trim(), place)
    }

    /// What stands behind the `{`.  Dovecot wants nothing there; how-tos have whole sections.
    fn one_line_section(&mut self, inside: &str, place: &Place) -> Result<(), Unreadable> {
        let Some(inside) = inside.strip_suffix('}') else {
            return match inside {
                "" => Ok(()),
                inside => self.line(inside, place),
            };
        };
        let words: Vec<&str> = inside.split_whitespace().collect();
        let mut begin = 0;
        for (at, word) in words.iter().enumerate().skip(1) {
            // The word before a `=` is the next name.
            let is_name = |at: usize| words.get(at).is_some_and(|next| next.starts_with('='));
            if is_name(at + 1) && *word != "=" && at > begin + 1 {
                self.line(&words.get(begin..at).unwrap_or_default().join(" "), place)?;
                begin = at;
            }
        }
        self.line(&words.get(begin..).unwrap_or_default().join(" "), place)?;
        self.close(place)
    }

    fn close(&mut self, place: &Place) -> Result<(), Unreadable> {
        match self.open.pop() {
            Some(block) if !self.open.is_empty() => {
                self.add(Item::Block(block));
                Ok(())
            }
            _ => Err(Unreadable::at(
                place,
                "there is no section that this } could close",
            )),
        }
    }

    fn value(&mut self, name: &str, value: &str, place: &Place) {
        if let Some(path) = value.strip_prefix('<') {
            self.add(Item::Setting(DovecotSetting {
                name: name.to_owned(),
                value: unquoted(path.trim()),
                form: ValueForm::File,
                place: place.clone(),
            }));
            return;
        }
        let value = match is_quoted(value) {
            true => unquoted(value),
            false => self.expanded(value),
        };
        self.setting(name, &value, place);
    }

    fn setting(&mut self, name: &str, value: &str, place: &Place) {
        self.add(Item::Setting(DovecotSetting {
            name: name.to_owned(),
            value: value.to_owned(),
            form: ValueForm::Text,
            place: place.clone(),
        }));
    }

    fn add(&mut self, item: Item) {
        if let Some(block) = self.open.last_mut() {
            block.items.push(item);
        }
    }

    /// With the values of the settings that it names: `$mail_plugins` in 2.3, `$SET:mail_plugins`
    /// in 2.4.
    fn expanded(&self, value: &str) -> String {
        if !value.contains('$') {
            return value.to_owned();
        }
        let words = value.split(' ').map(|word| {
            let Some(name) = word.strip_prefix('$') else {
                return word.to_owned();
            };
            let name = name.strip_prefix("SET:").unwrap_or(name);
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = name.find(|c: char| !is_name(c)).unwrap_or(name.len());
            let (name, rest) = name.split_at_checked(end).unwrap_or_default();
            // From the environment, which is another one when Dovecot runs.
            if name == "ENV" {
                return word.to_owned();
            }
            format!("{}{rest}", self.known(name))
        });
        let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
        words.join(" ")
    }

    /// The value that the setting has here, in this section or around it.
    fn known(&self, name: &str) -> &str {
        let settings = self.open.iter().rev().map(|block| block.get(name));
        settings
            .flatten()
            .next()
            .map_or("", |setting| setting.value.as_str())
    }

    fn include(&mut self, rest: &str, place: &Place) -> Result<(), Unreadable> {
        let (word, pattern) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let must_exist = match word {
            "include" => true,
            "include_try" => false,
            _ => return Err(Unreadable::at(place, format!("there is no !{word}"))),
        };
        let pattern = unquoted(pattern.trim());
        let from = place
            .file
            .rsplit_once('/')
            .map_or("", |(directory, _)| directory);
        let pattern = match pattern.starts_with('/') {
            true => pattern,
            false => format!("{from}/{pattern}"),
        };
        if !glob::has_wildcards(&pattern) {
            return match must_exist || self.files.exists(&pattern) {
                true => self.file(&pattern, place),
                false => Ok(()),
            };
        }
        for path in glob::matches(&pattern, self.files) {
            self.file(&path, place)?;
        }
        Ok(())
    }
}

impl Block {
    pub fn new(kind: &str, argument: &str, place: Place) -> Block {
        Block {
            kind: kind.to_owned(),
            argument: argument.to_owned(),
            place,
            items: Vec::new(),
        }
    }

    /// The settings of this section, without those of sections in it.
    pub fn settings(&self) -> impl DoubleEndedIterator<Item = &DovecotSetting> {
        self.items.iter().filter_map(|item| match item {
            Item::Setting(setting) => Some(setting),
            Item::Block(_) => None,
        })
    }

    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.items.iter().filter_map(|item| match item {
            Item::Block(block) => Some(block),
            Item::Setting(_) => None,
        })
    }

    pub fn blocks_of(&self, kind: &str) -> impl Iterator<Item = &Block> {
        self.blocks().filter(move |block| block.kind == kind)
    }

    /// The last value counts.  In 2.4 the name of the section may stand before the name.
    pub fn get(&self, name: &str) -> Option<&DovecotSetting> {
        let is_it = |setting: &&DovecotSetting| {
            let own = setting.name.strip_prefix(self.kind.as_str());
            setting.name == name || own.and_then(|own| own.strip_prefix('_')) == Some(name)
        };
        self.settings().rev().find(is_it)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(|setting| setting.value.as_str())
    }

    pub fn says_yes(&self, name: &str) -> bool {
        self.get(name).is_some_and(DovecotSetting::is_yes)
    }
}

impl DovecotSetting {
    pub fn is_yes(&self) -> bool {
        ["yes", "y", "true", "1"].contains(&self.value.to_ascii_lowercase().as_str())
    }

    /// The words of a list, which in 2.4 may have commas between them.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let words = self.value.split(|c: char| c.is_whitespace() || c == ',');
        words.filter(|word| !word.is_empty())
    }
}

/// Without what begins with a `#` that no quote is around and that has a blank before it.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') if before.is_whitespace() => quote = Some(c),
            (None, '#') if before.is_whitespace() => return line.get(..at).unwrap_or(line),
            _ => {}
        }
        before = c;
    }
    line
}

fn is_quoted(value: &str) -> bool {
    let mark = value.chars().next().filter(|first| "\"'".contains(*first));
    value.len() > 1 && mark.is_some_and(|mark| value.ends_with(mark))
}

fn unquoted(value: &str) -> String {
    if !is_quoted(value) {
        return value.to_owned();
    }
    let inside = value.get(1..value.len() - 1).unwrap_or_default();
    let mut plain = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => plain.extend(characters.next()),
            c => plain.push(c),
        }
    }
    plain
}

/// More than any configuration has.
const DEPTH_MAX: usize = 20;
const FILES_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::super::super::tests::Texts;
    use super::*;

    fn read(text: &str) -> Result<Block, String> {
        let none = Texts::default();
        read_text("f", text, &none).map_err(|error| error.to_string())
    }

    fn value(text: &str) -> String {
        let block = read(text).unwrap();
        block.text("a").unwrap().to_owned()
    }

    #[test]
    fn values_have_quotes_comments_and_more_lines() {
        for (text, expected) in [
            ("a = b", "b"),
            ("a=b c  ", "b c"),
            ("a = b # c", "b"),
            ("a = b#c", "b#c"),
            ("a = \"b # c\"", "b # c"),
            ("a = 'b \\' \"c'", "b ' \"c"),
            ("a = \"b \\\"c\\\\\" # d", "b \"c\\"),
            ("a = b \\\n   c \\\n d\ne = f", "b c d"),
            ("a =", ""),
            ("a = x=y;z={", "x=y;z={"),
            ("a = 1\na = 2", "2"),
            ("x = 1 2\na = $x 3", "1 2 3"),
            ("x = 1\ns {\nx = $x 2\n}\na = $SET:x", "1"),
            ("a = $none b", "b"),
            ("a = $ENV:HOME", "$ENV:HOME"),
            ("a = \"$x\"", "$x"),
            ("a = <<<END\nx\n  y = {\nEND", "x\n  y = {"),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
        let hidden = read("ssl_key = # hidden, use -P to show it").unwrap();
        assert_eq!(hidden.get("ssl_key").unwrap().form, ValueForm::Hidden);
        let file = read("ssl_cert = </etc/x.pem").unwrap();
        let file = file.get("ssl_cert").unwrap();
        assert_eq!(
            (file.value.as_str(), file.form),
            ("/etc/x.pem", ValueForm::File)
        );
    }

    #[test]
    fn sections_are_in_each_other_and_may_be_in_one_line() {
        let block = read(
            "service imap-login {\n inet_listener imap { port = 0 }\n \
             inet_listener \"i maps\" { port = 993 ssl = yes }\n}\npassdb pam {\n}\nx = y\n",
        )
        .unwrap();
        let service = block.blocks_of("service").next().unwrap();
        assert_eq!(service.argument, "imap-login");
        let listeners: Vec<&Block> = service.blocks_of("inet_listener").collect();
        assert_eq!(listeners[0].text("port"), Some("0"));
        assert_eq!(listeners[1].argument, "i maps");
        assert_eq!(listeners[1].text("port"), Some("993"));
        assert!(listeners[1].says_yes("ssl"));
        assert_eq!(block.blocks_of("passdb").next().unwrap().items.len(), 0);
        assert_eq!(block.text("x"), Some("y"));
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_line() {
        for (text, expected) in [
            (
                "a = b\nc d",
                "f:2: this is neither NAME = VALUE nor the beginning of a section",
            ),
            (
                "a {\n b = c",
                "f:1: the section a that begins here is not closed",
            ),
            (
                "a = b\n}",
                "f:2: there is no section that this } could close",
            ),
            ("!include /none", "f:1: /none: no such file"),
            ("!includes x", "f:1: there is no !includes"),
            ("\n\u{0}", "f:2: this is no text"),
            (
                "a = <<<END",
                "f:1: the text that ends with END does not end",
            ),
            (
                "{",
                "f:1: this is neither NAME = VALUE nor the beginning of a section",
            ),
        ] {
            assert_eq!(read(text).map(drop), Err(expected.to_owned()), "{text}");
        }
        assert!(read(&"a {\n".repeat(100)).is_err());
        assert!(read(&format!("a = {}", "x".repeat(1 << 20))).is_ok());
    }

    #[test]
    fn files_are_included_in_the_order_of_their_names() {
        let texts = Texts::from([
            (
                "/d/dovecot.conf",
                "a = 0\n!include conf.d/*.conf\n!include_try /d/none\n!include_try l/*",
            ),
            ("/d/conf.d/20-b.conf", "a = $a 2"),
            ("/d/conf.d/10-a.conf", "a = $a 1\n!include more.ext"),
            ("/d/conf.d/more.ext", "s {\n}"),
            ("/d/conf.d/10-a.conf.ucf-dist", "a = wrong"),
            ("/d/conf.d/.hidden.conf", "a = wrong"),
        ]);
        let block = read_file("/d/dovecot.conf", &texts).unwrap();
        assert_eq!(block.text("a"), Some("0 1 2"));
        let place = &block.blocks_of("s").next().unwrap().place;
        assert_eq!((&*place.file, place.line), ("/d/conf.d/more.ext", 1));

        let texts = Texts::from([("/a", "x = y\n!include b"), ("/b", "\n!include a")]);
        let error = read_file("/a", &texts).unwrap_err();
        assert_eq!(error.to_string(), "/b:2: /a includes itself");
        let error = read_file("/none", &texts).unwrap_err();
        assert_eq!(error.to_string(), "/none: no such file");
    }
}
