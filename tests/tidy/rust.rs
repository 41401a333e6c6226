//! Just enough of Rust's grammar for the checks: what is code, what is a test, where a function ends.

/// A source file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its path from the top of the repository.
    pub path: String,
    /// As it is written.
    pub text: String,
    /// With comments and the insides of literals blanked; as long as `text`.
    pub code: String,
    /// The same with test modules blanked too.
    pub product: String,
}

impl Source {
    /// Reads the text of a file.
    pub fn new(path: &str, text: &str) -> Source {
        let code = blank_comments_and_literals(text);
        let product = blank_test_modules(&code);
        Source { path: path.to_owned(), text: text.to_owned(), code, product }
    }

    /// The line number of a byte offset.
    pub fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
    }
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// The line of its `fn`.
    pub line: usize,
    /// From there to the closing brace.
    pub lines: usize,
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Offsets at which `word` stands as a whole word.
pub fn words(code: &str, word: &str) -> Vec<usize> {
    let bytes = code.as_bytes();
    let whole = |&(at, _): &(usize, &str)| {
        let before = at.checked_sub(1).is_none_or(|before| !is_word(bytes[before]));
        before && bytes.get(at + word.len()).is_none_or(|&after| !is_word(after))
    };
    code.match_indices(word).filter(whole).map(|(at, _)| at).collect()
}

/// The identifier that begins at `at`.
pub fn identifier(code: &str, at: usize) -> &str {
    let rest = &code[at..];
    &rest[..rest.bytes().position(|byte| !is_word(byte)).unwrap_or(rest.len())]
}

/// The offset just past the bracket that closes the one at `open`.
pub fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// The parts of `list` between commas outside brackets.
pub fn split(list: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (vec![], 0, 0);
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(list[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[from..].trim());
    parts.pop_if(|last| last.is_empty());
    parts
}

/// Every function that has a body.
pub fn functions(code: &str) -> Vec<Function> {
    let line_of = |offset: usize| code.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1;
    let function = |at: usize| {
        let name = identifier(code, at + 3);
        let body = body(code, at)?;
        let (line, last) = (line_of(at), line_of(closing(code, body) - 1));
        (!name.is_empty()).then(|| Function { name: name.to_owned(), line, lines: last - line + 1 })
    };
    words(code, "fn").into_iter().filter_map(function).collect()
}

/// Where the body of the function at `at` opens; `None` for a declaration or a type.
fn body(code: &str, at: usize) -> Option<usize> {
    let mut next = at;
    loop {
        match code.as_bytes().get(next)? {
            b'{' => return Some(next),
            b';' | b'}' | b')' | b',' | b']' => return None,
            b'(' | b'[' => next = closing(code, next),
            b'<' => next = after_generics(code, next),
            _ => next += 1,
        }
    }
}

/// Just behind the `>` that closes the `<` at `at`; an arrow closes nothing.
fn after_generics(code: &str, at: usize) -> usize {
    let (mut depth, mut before) = (0, b' ');
    for (offset, byte) in code[at..].bytes().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' if before != b'-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + offset + 1;
        }
        before = byte;
    }
    code.len()
}

/// Blanks comments and the insides of strings and characters; line breaks stay.
fn blank_comments_and_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let (from, to) = literal(bytes, at);
        code[from..to].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        at = to.max(at + 1);
    }
    String::from_utf8(code).expect("whole characters are blanked")
}

/// What is to be blanked at `at`: the range of a comment or of a literal's inside, or nothing.
fn literal(bytes: &[u8], at: usize) -> (usize, usize) {
    let rest = &bytes[at..];
    let until = |needle: &[u8], skip: usize| {
        let found = rest[skip..].windows(needle.len()).position(|window| window == needle);
        at + found.map_or(rest.len(), |found| skip + found)
    };
    let word_before = at.checked_sub(1).is_some_and(|before| is_word(bytes[before]));
    match rest {
        [b'/', b'/', ..] => (at, until(b"\n", 0)),
        [b'/', b'*', ..] => (at, (until(b"*/", 2) + 2).min(bytes.len())),
        [b'r', b'"' | b'#', ..] if !word_before || bytes[at - 1] == b'b' => {
            let hashes = rest[1..].iter().take_while(|&&byte| byte == b'#').count();
            if rest.get(1 + hashes) != Some(&b'"') {
                return (at, at);
            }
            let close = [&b"\""[..], &b"#".repeat(hashes)].concat();
            (at, (until(&close, 2 + hashes) + close.len()).min(bytes.len()))
        }
        [b'"', ..] => (at, end_of_string(bytes, at)),
        [b'\'', b'\\', _, ..] => (at, until(b"'", 3) + 1),
        [b'\'', first, ..] => {
            let width = std::str::from_utf8(&rest[1..rest.len().min(5)])
                .map_or_else(|error| error.valid_up_to(), |_| 4)
                .max(1);
            let closes = (1..=width).find(|&width| rest.get(1 + width) == Some(&b'\''));
            let character = closes.filter(|&width| width == 1 || !first.is_ascii());
            (at, character.map_or(at, |width| at + width + 2))
        }
        _ => (at, at),
    }
}

fn end_of_string(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Blanks every item under `#[cfg(test)]`.
fn blank_test_modules(code: &str) -> String {
    let mut product = code.as_bytes().to_vec();
    for (at, attribute) in code.match_indices("#[cfg(test)]") {
        let item = at + attribute.len();
        let end =
            code[item..].find(['{', ';']).map_or(code.len(), |open| match code.as_bytes()[item + open] {
                b'{' => closing(code, item + open),
                _ => item + open + 1,
            });
        product[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
    }
    String::from_utf8(product).expect("whole characters are blanked")
}

/// The modules that a file declares only for tests, `#[cfg(test)] mod NAME;`.
pub fn test_modules(code: &str) -> Vec<String> {
    let declared = |(at, attribute): (usize, &str)| {
        let item = &code[at + attribute.len()..];
        let item = &item[..item.find(['{', ';'])?];
        let name = item.split_whitespace().skip_while(|word| *word != "mod").nth(1)?;
        Some(name.to_owned())
    };
    code.match_indices("#[cfg(test)]").filter_map(declared).collect()
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = "a // unsafe\nb /* unsafe */ \"un\\\"safe\" r#\"unsafe\"# 'u' '\\'' '–' &'a x b\"unsafe\"";
    let source = Source::new("x.rs", text);
    assert!(words(&source.code, "unsafe").is_empty(), "{}", source.code);
    assert_eq!(source.code.len(), text.len());
    assert!(source.code.contains("&'a x"));
}

#[test]
fn test_modules_are_no_product() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { c() }\n}\n#[cfg(test)]\npub(crate) mod fake;\nfn d() {}";
    let source = Source::new("x.rs", text);
    let names: Vec<String> = functions(&source.product).into_iter().map(|f| f.name).collect();
    assert_eq!(names, ["a", "d"]);
    assert_eq!(test_modules(&source.code), ["tests", "fake"]);
}

#[test]
fn a_function_reaches_from_its_name_to_its_brace() {
    let text =
        "trait T { fn a(&self) -> [u8; 4]; }\nfn b<T>(f: fn(&str) -> T)\nwhere T: Copy\n{\n  if x {}\n}\n";
    let found = functions(&Source::new("x.rs", text).code);
    assert_eq!(found, [Function { name: "b".into(), line: 2, lines: 5 }]);
    let generic = "fn c<const A: usize, F: Fn() -> u8>(f: F) {\n}\n";
    assert_eq!(functions(generic), [Function { name: "c".into(), line: 1, lines: 2 }]);
}
