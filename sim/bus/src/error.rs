//! Why a command is refused, in Redis's words: `Display` is the error reply without its leading `-`.

use std::fmt::Display;

use thiserror::Error;

/// Bytes of a client as an error quotes them: each as the character of its number. [`line()`] makes them bytes again, whatever
/// encoding they are in.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// An error as it is replied: line breaks at its end are left out, others become spaces (`addReplyErrorFormatInternal`, Redis
/// `networking.c`).
pub(crate) fn line(error: &dyn Display) -> Vec<u8> {
    let text = error.to_string();
    let mut line = Vec::with_capacity(text.len());
    for character in text.trim_end_matches(['\r', '\n']).chars() {
        match u8::try_from(character) {
            Ok(b'\r' | b'\n') => line.push(b' '),
            Ok(byte) => line.push(byte),
            Err(_) => line.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    line
}

/// A refused command. It has changed nothing.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum CommandError {
    /// The key holds a value of another type.
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    /// Options that make no sense together or are unknown.
    #[error("ERR syntax error")]
    Syntax,
    /// An argument or a stored value is not a 64-bit integer.
    #[error("ERR value is not an integer or out of range")]
    NotAnInteger,
    /// Too few or too many arguments; the name is in lower case, `client|setname` for a subcommand.
    #[error("ERR wrong number of arguments for '{0}' command")]
    Arity(String),
    /// A time to live that is not positive or does not fit.
    #[error("ERR invalid expire time in '{0}' command")]
    InvalidExpire(&'static str),
    /// No command has this name.
    #[error("ERR unknown command '{name}', with args beginning with: {arguments}")]
    UnknownCommand {
        /// The name as the client wrote it, at most 128 bytes.
        name: String,
        /// The first arguments, each in quotes and followed by a space.
        arguments: String,
    },
    /// The container command has no such subcommand.
    #[error("ERR unknown subcommand '{name}'. Try {container} HELP.")]
    UnknownSubcommand {
        /// The name as the client wrote it, at most 128 bytes.
        name: String,
        /// The container command in upper case.
        container: String,
    },
    /// The subcommand does not take these arguments.
    #[error("ERR unknown subcommand or wrong number of arguments for '{name}'. Try {container} HELP.")]
    SubcommandSyntax {
        /// The subcommand as the client wrote it, at most 128 bytes.
        name: String,
        /// The container command in upper case.
        container: &'static str,
    },
    /// A refusal that only one command utters: the whole text.
    #[error("{0}")]
    Refused(&'static str),
    /// As [`CommandError::Refused`], with something of the request in it.
    #[error("{0}")]
    RefusedArgument(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_quotes_bytes_as_they_came_and_stays_on_its_line() {
        let error =
            |bytes| CommandError::RefusedArgument(format!("ERR Unsupported option {}", quoted(bytes)));
        assert_eq!(line(&error(b"\xFF\xC3\xA9")), b"ERR Unsupported option \xFF\xC3\xA9");
        assert_eq!(line(&error(b"a\r\nb\r\n")), b"ERR Unsupported option a  b");
    }
}
