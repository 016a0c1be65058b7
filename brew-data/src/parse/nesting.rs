//! Tracks the nesting depth of JSON bytes without parsing them.

/// The nesting depth in objects and lists.
#[derive(Default)]
pub(super) struct Nesting {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Nesting {
    /// Whether the next byte is outside any object, list, or string.
    pub(super) fn is_outside(&self) -> bool {
        self.depth == 0 && !self.in_text
    }

    /// Processes a byte; returns whether it closes the outermost object or list.
    pub(super) fn closes(&mut self, byte: u8) -> bool {
        if self.in_text {
            self.in_text = self.escaped || byte != b'"';
            self.escaped = !self.escaped && byte == b'\\';
            return false;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}
