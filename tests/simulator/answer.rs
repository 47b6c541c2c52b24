//! What a server says, as a client reads it.

/// Takes the first whole response off the front, literals included.
pub fn take(input: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut at = 0;
    loop {
        let end = at + input[at..].windows(2).position(|two| two == b"\r\n")?;
        at = end + 2;
        let Some(length) = literal(&input[..end]) else {
            let mut response: Vec<u8> = input.drain(..at).collect();
            response.truncate(response.len() - 2);
            return Some(response);
        };
        at += length;
        if at > input.len() {
            return None;
        }
    }
}

fn literal(line: &[u8]) -> Option<usize> {
    let digits = line.strip_suffix(b"}")?;
    let open = digits.iter().rposition(|&octet| octet == b'{')?;
    std::str::from_utf8(&digits[open + 1..]).ok()?.parse().ok()
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Atom(String),
    Text(Vec<u8>),
    List(Vec<Value>),
}

impl Value {
    pub fn number(&self) -> Option<u64> {
        match self {
            Value::Atom(atom) => atom.parse().ok(),
            _ => None,
        }
    }

    pub fn atom(&self) -> &str {
        match self {
            Value::Atom(atom) => atom,
            _ => "",
        }
    }

    pub fn list(&self) -> &[Value] {
        match self {
            Value::List(list) => list,
            _ => &[],
        }
    }
}

/// The values of a response one after the other.
pub fn values(response: &[u8]) -> Vec<Value> {
    let mut rest = response;
    let mut values = Vec::new();
    while let Some(value) = value(&mut rest) {
        values.push(value);
    }
    values
}

fn value(rest: &mut &[u8]) -> Option<Value> {
    while let [b' ', after @ ..] = rest {
        *rest = after;
    }
    match rest.first()? {
        b'(' => {
            *rest = &rest[1..];
            let mut list = Vec::new();
            while let Some(inner) = value(rest) {
                list.push(inner);
            }
            *rest = rest.strip_prefix(b")").unwrap_or(rest);
            Some(Value::List(list))
        }
        b')' => None,
        b'"' => {
            let mut text = Vec::new();
            let mut octets = rest[1..].iter();
            while let Some(&octet) = octets.next() {
                match octet {
                    b'"' => break,
                    b'\\' => text.extend(octets.next()),
                    other => text.push(other),
                }
            }
            *rest = octets.as_slice();
            Some(Value::Text(text))
        }
        b'{' => {
            let line = rest.iter().position(|&octet| octet == b'\n')?;
            let length = literal(&rest[..line - 1])?;
            let text = rest[line + 1..line + 1 + length].to_vec();
            *rest = &rest[line + 1 + length..];
            Some(Value::Text(text))
        }
        _ => {
            let end = rest.iter().position(|octet| b" ()".contains(octet));
            let (atom, after) = rest.split_at(end.unwrap_or(rest.len()));
            *rest = after;
            Some(Value::Atom(String::from_utf8_lossy(atom).into_owned()))
        }
    }
}

/// The response code of a status response: its words, and what is in parentheses as a whole.
pub fn code(response: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(response).into_owned();
    let Some((_, after)) = text.split_once('[') else {
        return Vec::new();
    };
    let code = after.split_once(']').map_or(after, |(code, _)| code);
    values(code.as_bytes())
}

/// `1:3,7` as single numbers.
pub fn set(text: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for range in text.split(',').filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().unwrap(), last.parse().unwrap());
        numbers.extend(first.min(last)..=first.max(last));
    }
    numbers
}
