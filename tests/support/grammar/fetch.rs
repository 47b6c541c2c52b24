//! What a FETCH response holds: items, sections, ENVELOPE, BODYSTRUCTURE.

use super::{Input, Outcome};

impl Input<'_> {
    /// `msg-att = "(" (msg-att-dynamic / msg-att-static) *(SP ..) ")"`
    pub(super) fn msg_att(&mut self) -> Outcome {
        let mut seen: Vec<String> = Vec::new();
        let mut items = 0;
        self.list(|input| {
            items += 1;
            let start = input.at;
            let name = input.word()?;
            match name.as_str() {
                "FLAGS" => {
                    input.sp()?;
                    input.list(|input| input.flag(b""))?;
                }
                "ENVELOPE" => {
                    input.sp()?;
                    input.envelope()?;
                }
                "INTERNALDATE" => {
                    input.sp()?;
                    input.date_time()?;
                }
                "SAVEDATE" => {
                    input.sp()?;
                    input.nil_or(|input| input.date_time())?;
                }
                "RFC822" | "RFC822.HEADER" | "RFC822.TEXT" | "PREVIEW" => {
                    input.sp()?;
                    input.nstring()?;
                }
                "RFC822.SIZE" => {
                    input.sp()?;
                    input.number()?;
                }
                "UID" => {
                    input.sp()?;
                    input.nz_number()?;
                }
                "MODSEQ" => {
                    input.sp()?;
                    input.list(|input| input.nz_number())?;
                }
                "EMAILID" => {
                    input.sp()?;
                    input.list(|input| input.objectid())?;
                }
                "THREADID" => {
                    input.sp()?;
                    input.nil_or(|input| input.list(|input| input.objectid()))?;
                }
                "BODYSTRUCTURE" => {
                    input.sp()?;
                    input.body(0)?;
                }
                "BODY" if input.peek() == Some(b' ') => {
                    input.sp()?;
                    input.body(0)?;
                }
                "BODY" => {
                    input.section()?;
                    input.sp()?;
                    input.nstring()?;
                }
                "BINARY" => {
                    input.section_binary()?;
                    input.sp()?;
                    input.nil_or(|input| input.string_or_literal8())?;
                }
                "BINARY.SIZE" => {
                    input.section_binary()?;
                    input.sp()?;
                    input.number()?;
                }
                _ => return Err(format!("unknown FETCH item {name}")),
            }
            // Which item it is: its text up to the space before the value.
            let label = String::from_utf8_lossy(&input.all[start..input.at]).to_ascii_uppercase();
            let label = match label.find("] ").or(label.find("> ")) {
                Some(end) if name.starts_with('B') && label.contains('[') => {
                    label[..end].to_owned()
                }
                _ => name,
            };
            if seen.contains(&label) {
                return Err(format!("{label} twice in one FETCH"));
            }
            seen.push(label);
            Ok(())
        })?;
        if items == 0 {
            Err("an empty FETCH".into())
        } else {
            Ok(())
        }
    }

    /// `section = "[" [section-spec] "]"`, then `["<" number ">"]`
    pub(super) fn section(&mut self) -> Outcome {
        self.expect(b"[")?;
        let mut part = false;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.nz_number()?;
            part = true;
            if !self.accept(b".") {
                break;
            }
        }
        if self.peek() != Some(b']') {
            let name = self.word()?;
            match name.as_str() {
                "HEADER" | "TEXT" => {}
                "MIME" if part => {}
                "HEADER.FIELDS" | "HEADER.FIELDS.NOT" => {
                    self.sp()?;
                    self.list(|input| input.astring())?;
                }
                _ => return Err(format!("unknown section {name}")),
            }
        }
        self.expect(b"]")?;
        self.origin()
    }

    /// `section-binary = "[" [section-part] "]"`, then `["<" number ">"]`
    pub(super) fn section_binary(&mut self) -> Outcome {
        self.expect(b"[")?;
        while self.peek() != Some(b']') {
            self.nz_number()?;
            if !self.accept(b".") {
                break;
            }
        }
        self.expect(b"]")?;
        self.origin()
    }

    pub(super) fn origin(&mut self) -> Outcome {
        if self.accept(b"<") {
            self.number()?;
            self.expect(b">")?;
        }
        Ok(())
    }

    /// `envelope = "(" env-date SP env-subject SP env-from .. SP env-message-id ")"`
    pub(super) fn envelope(&mut self) -> Outcome {
        self.expect(b"(")?;
        self.nstring()?;
        self.sp()?;
        self.nstring()?;
        for _ in 0..6 {
            self.sp()?;
            self.nil_or(|input| {
                input.expect(b"(")?;
                input.address()?;
                while !input.accept(b")") {
                    input.address()?;
                }
                Ok(())
            })?;
        }
        for _ in 0..2 {
            self.sp()?;
            self.nstring()?;
        }
        self.expect(b")")
    }

    /// `address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")"`
    pub(super) fn address(&mut self) -> Outcome {
        self.expect(b"(")?;
        self.nstring()?;
        for _ in 0..3 {
            self.sp()?;
            self.nstring()?;
        }
        self.expect(b")")
    }

    /// `body = "(" (body-type-1part / body-type-mpart) ")"`
    pub(super) fn body(&mut self, depth: usize) -> Outcome {
        if depth > 200 {
            return Err("a body nested without end".into());
        }
        self.expect(b"(")?;
        if self.peek() == Some(b'(') {
            // body-type-mpart = 1*body SP media-subtype [SP body-ext-mpart]
            while self.peek() == Some(b'(') {
                self.body(depth + 1)?;
            }
            self.sp()?;
            self.string()?;
            if self.accept(b" ") {
                self.body_fld_param()?;
                self.body_ext()?;
            }
            return self.expect(b")");
        }
        let media = self.string_value()?.to_ascii_uppercase();
        self.sp()?;
        let subtype = self.string_value()?.to_ascii_uppercase();
        self.sp()?;
        self.body_fields()?;
        if media == b"TEXT" {
            self.sp()?;
            self.number()?;
        } else if media == b"MESSAGE"
            && (subtype == b"RFC822" || subtype == b"GLOBAL")
            && self.accept(b" (")
        {
            self.at -= 1;
            self.envelope()?;
            self.sp()?;
            self.body(depth + 1)?;
            self.sp()?;
            self.number()?;
        }
        if self.accept(b" ") {
            // body-ext-1part begins with the MD5 sum.
            self.nstring()?;
            self.body_ext()?;
        }
        self.expect(b")")
    }

    /// `body-fields = body-fld-param SP body-fld-id SP body-fld-desc SP body-fld-enc SP
    /// body-fld-octets`
    pub(super) fn body_fields(&mut self) -> Outcome {
        self.body_fld_param()?;
        self.sp()?;
        self.nstring()?;
        self.sp()?;
        self.nstring()?;
        self.sp()?;
        self.string()?;
        self.sp()?;
        self.number().map(drop)
    }

    pub(super) fn body_fld_param(&mut self) -> Outcome {
        self.nil_or(|input| {
            if input.peek() == Some(b'(') && input.all.get(input.at + 1) == Some(&b')') {
                return Err("an empty parameter list".into());
            }
            input.list_of_pairs(|input| input.string(), |input| input.string())
        })
    }

    /// `[SP body-fld-dsp [SP body-fld-lang [SP body-fld-loc *(SP body-extension)]]]`
    pub(super) fn body_ext(&mut self) -> Outcome {
        if !self.accept(b" ") {
            return Ok(());
        }
        self.nil_or(|input| {
            input.expect(b"(")?;
            input.string()?;
            input.sp()?;
            input.body_fld_param()?;
            input.expect(b")")
        })?;
        if !self.accept(b" ") {
            return Ok(());
        }
        if self.peek() == Some(b'(') {
            self.list(|input| input.string())?
        } else {
            self.nstring()?
        }
        if self.accept(b" ") {
            self.nstring()?;
        }
        Ok(())
    }

    /// `date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE`
    pub(super) fn date_time(&mut self) -> Outcome {
        let Some(text) = self.all.get(self.at..self.at + 28) else {
            return Err("a date-time cut short".into());
        };
        const FORM: &[u8; 28] = b"\"dd-mmm-dddd dd:dd:dd sdddd\"";
        let fits = text
            .iter()
            .zip(FORM)
            .enumerate()
            .all(|(at, (&byte, &form))| match form {
                b'd' => byte.is_ascii_digit() || (at == 1 && byte == b' '),
                b'm' => byte.is_ascii_alphabetic(),
                b's' => matches!(byte, b'+' | b'-'),
                _ => byte == form,
            });
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        if !fits || !months.iter().any(|month| text[4..7] == *month.as_bytes()) {
            return Err("no date-time".into());
        }
        self.at += 28;
        Ok(())
    }
}
