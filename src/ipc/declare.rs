//! How a message, and what is in one, is declared: once, with its octets.
//!
//! [`structure!`] and [`choice!`] say in which order the parts of a type go through a channel; the
//! compiler sees to it that none is left out.  [`messages!`] declares the messages themselves.

/// `Name { first, second }`: the parts of a structure, one after the other.
macro_rules! structure {
    ($name:ident(_)) => {
        impl Part for $name {
            fn write(self, writer: &mut Writer) {
                self.0.write(writer);
            }

            fn read(reader: &mut Reader<'_>) -> Result<$name, Wrong> {
                Part::read(reader).map($name)
            }
        }
    };
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl Part for $name {
            fn write(self, writer: &mut Writer) {
                let $name { $($field),* } = self;
                $($field.write(writer);)*
            }

            fn read(reader: &mut Reader<'_>) -> Result<$name, Wrong> {
                $(let $field = Part::read(reader)?;)*
                Ok($name { $($field),* })
            }
        }
    };
}

/// `Name { This, That(part), Other { first, second } }`: an octet that says which it is, 0 for the
/// first, then its parts.
macro_rules! choice {
    ($name:ident {
        $($variant:ident $(($($part:ident),*))? $({ $($field:ident),* })?),* $(,)?
    }) => {
        const _: () = {
            enum Code {
                $($variant),*
            }

            impl Part for $name {
                fn write(self, writer: &mut Writer) {
                    match self {
                        $($name::$variant $(($($part),*))? $({ $($field),* })? => {
                            (Code::$variant as u8).write(writer);
                            $($($part.write(writer);)*)?
                            $($($field.write(writer);)*)?
                        })*
                    }
                }

                fn read(reader: &mut Reader<'_>) -> Result<$name, Wrong> {
                    let code = u8::read(reader)?;
                    $(if code == Code::$variant as u8 {
                        $($(let $part = Part::read(reader)?;)*)?
                        $($(let $field = Part::read(reader)?;)*)?
                        return Ok($name::$variant $(($($part),*))? $({ $($field),* })?);
                    })*
                    Err(NO_SUCH)
                }
            }
        };
    };
}

/// Declares [`Message`](super::Message), its octets, and its [`Kind`](super::Kind): which message
/// it is, as the table tells them apart.  Where one message has several kinds, the part that
/// decides comes after `by`.
macro_rules! messages {
    (
        one kind each {
            $(
                $(#[$doc:meta])*
                $name:ident $(($($part:ident: $type:ty),*))? $({ $($field:ident: $field_type:ty),* })?;
            )*
        }
        several kinds each {
            $(
                $(#[$split_doc:meta])*
                $split:ident($($split_part:ident: $split_type:ty),*) by $decides:ident {
                    $($kind:ident: $pattern:pat),* $(,)?
                }
            )*
        }
    ) => {
        /// One message with the descriptor that goes with it.
        #[derive(Debug)]
        pub enum Message {
            $(
                $(#[$doc])*
                $name $(($($type),*))? $({ $($field: $field_type),* })?,
            )*
            $(
                $(#[$split_doc])*
                $split($($split_type),*),
            )*
        }

        /// Which message it is, as the table tells them apart.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($name,)*
            $($($kind,)*)*
        }

        /// All of them.
        pub const KINDS: &[Kind] = &[$(Kind::$name,)* $($(Kind::$kind,)*)*];

        impl Message {
            pub fn kind(&self) -> Kind {
                match self {
                    $(Message::$name { .. } => Kind::$name,)*
                    $(
                        #[allow(unused_variables)]
                        Message::$split($($split_part),*) => match $decides {
                            $($pattern => Kind::$kind,)*
                        },
                    )*
                }
            }
        }

        choice! {
            Message {
                $($name $(($($part),*))? $({ $($field),* })?,)*
                $($split($($split_part),*),)*
            }
        }
    };
}

pub(super) use {choice, messages, structure};
