//! The declarations of Linux-PAM in `crates/pam-sys` are those of the header that is installed.
//!
//! Each is written as C and given to the compiler behind the header: a constant or the layout of a
//! structure as an assertion, a function as a second declaration, which has to agree with the
//! first.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn the_declarations_of_pam_are_those_of_its_header() {
    let rust = declarations();
    let c = in_c(&rust);
    for kind in [
        "_Static_assert(PAM_",
        "_Static_assert(sizeof",
        "extern int pam_start(",
    ] {
        assert!(c.contains(kind), "nothing is compared:\n{c}");
    }
    if let Err(errors) = compile(&c) {
        panic!("{errors}\n{c}");
    }
}

#[test]
fn a_declaration_that_differs_from_the_header_is_found() {
    let rust = declarations();
    for (right, wrong) in [
        ("PAM_CONV_ERR: c_int = 19", "PAM_CONV_ERR: c_int = 20"),
        (
            "pub msg_style: c_int,",
            "pub msg_style: c_int, pub more: c_int,",
        ),
        (
            "pub resp: *mut c_char,\n    pub resp_retcode: c_int,",
            "pub resp_retcode: c_int, pub resp: *mut c_char,",
        ),
        ("msg: *mut *const pam_message", "msg: *mut *mut pam_message"),
        (
            "pam_end(pamh: *mut pam_handle_t, pam_status: c_int)",
            "pam_end(pamh: *mut pam_handle_t)",
        ),
        (
            "errnum: c_int) -> *const c_char",
            "errnum: c_int) -> *mut c_char",
        ),
    ] {
        assert!(rust.contains(right), "{right}");
        let c = in_c(&rust.replace(right, wrong));
        assert!(compile(&c).is_err(), "{wrong} was not found:\n{c}");
    }
}

fn declarations() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/pam-sys/src/lib.rs");
    let text = fs::read_to_string(file).expect("the declarations");
    // Without comments and attributes.
    text.lines()
        .filter(|line| !line.trim_start().starts_with(['/', '#']))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Takes what is C from standard input.
fn compile(c: &str) -> Result<(), String> {
    let mut compiler = Command::new("cc")
        .args(["-std=gnu11", "-Wall", "-Werror", "-fsyntax-only"])
        .args(["-x", "c", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a C compiler, as the build needs one too");
    let mut stdin = compiler.stdin.take().expect("a pipe");
    stdin.write_all(c.as_bytes()).expect("to write C");
    drop(stdin);
    let output = compiler.wait_with_output().expect("the compiler's answer");
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The declarations as C that compiles behind the header only if they agree with it.
fn in_c(rust: &str) -> String {
    let mut c = String::from(
        "#include <stddef.h>\n#include <security/pam_appl.h>\n#include <security/pam_misc.h>\n\
         #include <security/pam_modules.h>\n",
    );
    for (name, value) in each(rust, "pub const ", " = ", ";") {
        let name = name.trim_end_matches(": c_int");
        c += &format!("_Static_assert({name} == {value}, \"{name}\");\n");
    }
    for (name, signature) in each(rust, "pub type ", " = unsafe extern \"C\" fn(", ";") {
        let (arguments, result) = in_c_signature(signature);
        c += &format!("typedef {result} (*{name})({arguments});\n");
    }
    for (name, fields) in each(rust, "pub struct ", " {", "}") {
        if name != "pam_handle_t" {
            c += &in_c_structure(name, fields);
        }
    }
    for (name, signature) in each(rust, "pub fn ", "(", ";") {
        let (arguments, result) = in_c_signature(signature);
        c += &format!("extern {result} {name}({arguments});\n");
    }
    c
}

/// What stands between a declaration's first word and `middle`, and from there to its end.
fn each<'a>(
    rust: &'a str,
    first: &str,
    middle: &'a str,
    end: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    rust.split(first).skip(1).map(move |declaration| {
        let (declaration, _) = declaration.split_once(end).expect("an end");
        declaration.split_once(middle).expect(middle)
    })
}

/// A structure of our own with the same fields, which must lie as those of the header do.
fn in_c_structure(name: &str, fields: &str) -> String {
    let fields: Vec<(&str, &str)> = named_types(fields).collect();
    let members: String = fields
        .iter()
        .map(|(field, of)| format!("{} {field};", in_c_type(of)))
        .collect();
    let mut c = format!("struct our_{name} {{{members}}};\n");
    c += &format!(
        "_Static_assert(sizeof(struct {name}) == sizeof(struct our_{name}), \"size of {name}\");\n"
    );
    for (field, _) in fields {
        c += &format!(
            "_Static_assert(offsetof(struct {name}, {field}) == offsetof(struct our_{name}, {field}), \
             \"place of {field}\");\n\
             _Static_assert(__builtin_types_compatible_p(__typeof__(((struct {name} *)0)->{field}), \
             __typeof__(((struct our_{name} *)0)->{field})), \"type of {field}\");\n"
        );
    }
    c
}

/// `a: c_int) -> c_int` as the arguments and the result.
fn in_c_signature(signature: &str) -> (String, String) {
    let (arguments, result) = signature.split_once(") -> ").expect("a result");
    let arguments: Vec<String> = named_types(arguments)
        .map(|(_, of)| in_c_type(of))
        .collect();
    (arguments.join(", "), in_c_type(result))
}

fn named_types(list: &str) -> impl Iterator<Item = (&str, &str)> {
    list.split(',').filter_map(|item| {
        let (name, of) = item.split_once(':')?;
        Some((name.trim().trim_start_matches("pub "), of.trim()))
    })
}

fn in_c_type(rust: &str) -> String {
    if let Some(to) = rust.strip_prefix("*mut ") {
        return format!("{} *", in_c_type(to));
    }
    if let Some(to) = rust.strip_prefix("*const ") {
        return match to.starts_with('*') {
            true => format!("{} const *", in_c_type(to)),
            false => format!("const {} *", in_c_type(to)),
        };
    }
    match rust {
        "c_int" => "int".into(),
        "c_char" => "char".into(),
        "c_void" => "void".into(),
        "pam_handle_t" => rust.into(),
        "Option<conversation>" => "conversation".into(),
        structure => format!("struct {structure}"),
    }
}
