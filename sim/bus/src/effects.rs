//! What commands did to the data, written as commands that do the same again: what an append-only file records.
//!
//! The effect of a command is the command itself, unless it would do something else when it is repeated later – a time
//! to live that counts from now, an id that the clock chose –; then the command says what its effect is. What one
//! command, transaction or script did is one unit, and a unit of several commands stands between MULTI and EXEC
//! (`propagatePendingCommands`, Redis `server.c`).
//!
//! Deliberately absent: files. Whoever records takes the bytes with [`Effects::take`].

use crate::resp::Args;

/// The effects that nobody has taken yet.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    recording: bool,
    /// The unit that is being done.
    unit: Vec<u8>,
    /// How many commands the unit holds.
    unit_len: usize,
    /// Complete units.
    log: Vec<u8>,
}

impl Effects {
    /// From now on effects are kept, or no longer. Nobody may be in the middle of a unit.
    pub(crate) fn record(&mut self, recording: bool) {
        self.recording = recording;
    }

    /// Whether effects are kept: if not, there is no need to put them together.
    pub(crate) fn recording(&self) -> bool {
        self.recording
    }

    /// How many commands the unit holds so far.
    pub(crate) fn unit_len(&self) -> usize {
        self.unit_len
    }

    /// Adds a command to the unit.
    pub(crate) fn push(&mut self, words: &[&[u8]]) {
        self.extend(words.iter().copied());
    }

    /// Adds a request as it is.
    pub(crate) fn repeat(&mut self, args: Args<'_>) {
        self.extend(args.from(0));
    }

    /// Adds a command whose words are counted only now.
    pub(crate) fn extend<'w>(&mut self, words: impl ExactSizeIterator<Item = &'w [u8]>) {
        if self.recording {
            self.unit_len += 1;
            write_command(&mut self.unit, words);
        }
    }

    /// Ends the unit.
    pub(crate) fn commit(&mut self) {
        match self.unit_len {
            0 => return,
            1 => self.log.append(&mut self.unit),
            _ => {
                write_command(&mut self.log, [&b"MULTI"[..]].into_iter());
                self.log.append(&mut self.unit);
                write_command(&mut self.log, [&b"EXEC"[..]].into_iter());
            }
        }
        self.unit_len = 0;
    }

    /// The units ended since the last call, as requests on the wire.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.log)
    }
}

/// Writes a request as clients send it.
pub(crate) fn write_command<'w>(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = &'w [u8]>) {
    write_length(out, b'*', words.len());
    for word in words {
        write_length(out, b'$', word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

fn write_length(out: &mut Vec<u8>, kind: u8, length: usize) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_unless_somebody_records() {
        let mut effects = Effects::default();
        effects.push(&[b"DEL", b"a"]);
        effects.commit();
        assert_eq!((effects.unit_len(), effects.take()), (0, Vec::new()));
    }

    #[test]
    fn a_unit_of_several_commands_is_a_transaction() {
        let mut effects = Effects::default();
        effects.record(true);
        effects.push(&[b"DEL", b"a"]);
        effects.commit();
        effects.commit();
        effects.push(&[b"DEL", b"b"]);
        effects.push(&[b"DEL", b"c"]);
        assert_eq!(effects.take(), b"*2\r\n$3\r\nDEL\r\n$1\r\na\r\n", "a unit is taken whole or not at all");
        effects.commit();
        let del = |key| format!("*2\r\n$3\r\nDEL\r\n$1\r\n{key}\r\n");
        let unit = format!("*1\r\n$5\r\nMULTI\r\n{}{}*1\r\n$4\r\nEXEC\r\n", del('b'), del('c'));
        assert_eq!(effects.take(), unit.as_bytes());
    }
}
