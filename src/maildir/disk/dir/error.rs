//! A file-system call that failed.

use std::fmt;
use std::io;
use std::path::Path;

use super::{Dir, as_path};

/// What failed, on which path, and why.
///
/// Every error of a mail file has this type.  There is no conversion from [`io::Error`], so an
/// error without a path cannot become one of the folder's.
#[derive(Debug)]
pub struct DiskError {
    operation: &'static str,
    path: Box<Path>,
    /// What it was to become.
    to: Option<Box<Path>>,
    cause: io::Error,
}

pub type DiskResult<T> = Result<T, DiskError>;

impl DiskError {
    /// `cause` may be such an error that went through code which knows only [`io::Error`].  It is
    /// kept as it was.
    pub fn new(operation: &'static str, path: &Path, cause: impl Into<io::Error>) -> DiskError {
        match cause.into().downcast::<DiskError>() {
            Ok(error) => error,
            Err(cause) => DiskError {
                operation,
                path: path.into(),
                to: None,
                cause,
            },
        }
    }

    pub fn operation(&self) -> &'static str {
        self.operation
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The other path of a rename or a link.
    pub fn to(&self) -> Option<&Path> {
        self.to.as_deref()
    }

    pub fn kind(&self) -> io::ErrorKind {
        self.cause.kind()
    }

    pub fn raw_os_error(&self) -> Option<i32> {
        self.cause.raw_os_error()
    }

    /// A copy, for something else that fails for the same reason.
    pub fn again(&self) -> DiskError {
        let cause = match self.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::new(self.kind(), self.cause.to_string()),
        };
        DiskError {
            operation: self.operation,
            path: self.path.clone(),
            to: self.to.clone(),
            cause,
        }
    }
}

/// In Dovecot's words, which programs that read logs know.
impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({}", self.operation, self.path.display())?;
        if let Some(to) = &self.to {
            write!(f, ", {}", to.display())?;
        }
        f.write_str(") failed: ")?;
        let reason = self.cause.to_string();
        // The number that the standard library adds to the system's words is left out.
        let number = self
            .raw_os_error()
            .map(|number| format!(" (os error {number})"));
        let words = number.and_then(|number| reason.strip_suffix(&number));
        f.write_str(words.unwrap_or(&reason))
    }
}

impl std::error::Error for DiskError {}

/// For code that is written for [`io::Read`] and [`io::Write`]; [`DiskError::new`] finds it again.
impl From<DiskError> for io::Error {
    fn from(error: DiskError) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}

/// Where a call is made: a name in a directory, or a path; and the target, if it moves something.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    dir: &'a Path,
    pub name: &'a [u8],
    to: Option<(&'a Path, &'a [u8])>,
}

impl<'a> At<'a> {
    pub fn path(path: &'a Path) -> At<'a> {
        At::name(path, b".")
    }

    pub fn name(dir: &'a Path, name: &'a [u8]) -> At<'a> {
        At {
            dir,
            name,
            to: None,
        }
    }

    pub fn to(self, dir: &'a Dir, name: &'a [u8]) -> At<'a> {
        At {
            to: Some((dir.path(), name)),
            ..self
        }
    }

    pub fn failure(self, operation: &'static str, cause: impl Into<io::Error>) -> DiskError {
        let path = |dir: &Path, name: &[u8]| match name {
            b"" | b"." => dir.to_owned(),
            name => dir.join(as_path(name)),
        };
        DiskError {
            to: self.to.map(|(dir, name)| path(dir, name).into()),
            ..DiskError::new(operation, &path(self.dir, self.name), cause)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_failed_where_and_why() {
        let path = Path::new("/srv/mail/cur");
        let error = DiskError::new("open", path, io::Error::from_raw_os_error(13));
        assert_eq!(
            error.to_string(),
            "open(/srv/mail/cur) failed: Permission denied"
        );
    }

    #[test]
    fn what_went_through_other_code_is_told_as_it_was() {
        let path = Path::new("/srv/mail/cur/1.host");
        let error = DiskError::new("read", path, io::Error::from_raw_os_error(5));
        let through = io::Error::from(error);
        let again = DiskError::new("expand", Path::new("/srv/mail/tmp"), through);
        assert_eq!(
            again.to_string(),
            "read(/srv/mail/cur/1.host) failed: Input/output error"
        );
        assert_eq!(again.raw_os_error(), Some(5));
    }
}
