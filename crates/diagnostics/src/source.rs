//! A manifest's text with its name, and places in it.

use std::sync::{Arc, OnceLock};

/// The longest piece of a line that is shown.
const SHOWN: usize = 140;

/// A text and the name it is reported under (a file path, or `<stdin>`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
    /// Where its lines begin; made when a place is first asked for, since there may be as many places as lines.
    lines: OnceLock<Vec<usize>>,
}

/// A stretch of a [`Source`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
    /// Line of the first byte, from 1.
    pub line: usize,
    /// Column of the first byte in characters, from 1.
    pub column: usize,
}

/// The line a complaint points at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// The line, or the part of a long line around the place.
    pub text: String,
    /// Characters of `text` before the place.
    pub before: usize,
    /// Characters of `text` the place covers, at least 1.
    pub width: usize,
}

impl Source {
    /// A text under a name; a byte-order mark is dropped.
    pub fn new(name: &str, text: &str) -> Arc<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Arc::new(Self {
            name: name.to_owned(),
            text: text.to_owned(),
            lines: OnceLock::new(),
        })
    }

    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let ends = self.text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0).chain(ends.map(|(end, _)| end + 1)).collect()
        })
    }

    /// The place of a line's text, without the blanks around it; lines count from 1, and beyond the last there is an empty one.
    pub fn line_place(&self, line: usize) -> Place {
        let before = self.lines().get(line.saturating_sub(1)).copied();
        let before = before.unwrap_or(self.text.len());
        let text = self.text[before..].lines().next().unwrap_or_default();
        let mut place = self.place_at(before + (text.len() - text.trim_start().len()));
        place.end = before + text.trim_end().len();
        place
    }

    /// The name it is reported under.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is written at a place; empty when the place is not of this source.
    pub fn written(&self, place: Place) -> &str {
        self.text.get(place.start..place.end).unwrap_or_default()
    }

    /// The line of a place, cut around it when it is long.
    pub fn excerpt(&self, place: Place) -> Excerpt {
        let mut start = place.start.min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        let (head, tail) = self.text.split_at(start);
        let mut line_start = start;
        let mut cut_before = false;
        for (index, character) in head.char_indices().rev() {
            if character == '\n' {
                break;
            }
            if start - index > SHOWN / 2 {
                cut_before = true;
                break;
            }
            line_start = index;
        }
        let room = SHOWN - (start - line_start).min(SHOWN);
        let line_tail = tail.find(['\n', '\r']).map_or(tail, |end| &tail[..end]);
        let shown: String = line_tail.chars().take(room).collect();
        let cut_after = shown.len() < line_tail.len();
        let ellipsis = |cut: bool| if cut { "…" } else { "" };
        let before = self.text[line_start..start].chars().count() + usize::from(cut_before);
        let covered = self.text.get(start..place.end).unwrap_or_default();
        let covered = covered
            .find(['\n', '\r'])
            .map_or(covered, |end| &covered[..end])
            .trim_end();
        Excerpt {
            text: format!(
                "{}{}{shown}{}",
                ellipsis(cut_before),
                &self.text[line_start..start],
                ellipsis(cut_after)
            ),
            before,
            width: covered.chars().count().clamp(1, shown.chars().count().max(1)),
        }
    }

    /// The place of a byte offset.
    pub fn place_at(&self, offset: usize) -> Place {
        let mut start = offset.min(self.text.len());
        while !self.text.is_char_boundary(start) {
            start -= 1;
        }
        let number = self.lines().partition_point(|begin| *begin <= start).max(1);
        let line_start = self.lines().get(number - 1).copied().unwrap_or(0);
        Place {
            start,
            end: start,
            line: number,
            column: self.text[line_start..start].chars().count() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpts_show_the_line_and_where() {
        let source = Source::new("a.yaml", "one: 1\r\ntwo: zwölf\n");
        let place = Place {
            start: 13,
            end: 19,
            line: 2,
            column: 6,
        };
        assert_eq!(source.written(place), "zwölf");
        assert_eq!(
            source.excerpt(place),
            Excerpt {
                text: "two: zwölf".to_owned(),
                before: 5,
                width: 5
            }
        );
        assert_eq!(
            source.place_at(13),
            Place {
                start: 13,
                end: 13,
                line: 2,
                column: 6
            }
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_place() {
        let source = Source::new("a.json", &format!("{}WRONG{}", "x".repeat(10_000), "y".repeat(10_000)));
        let excerpt = source.excerpt(Place {
            start: 10_000,
            end: 10_005,
            line: 1,
            column: 10_001,
        });
        assert!(excerpt.text.chars().count() < 150);
        let at: String = excerpt.text.chars().skip(excerpt.before).take(excerpt.width).collect();
        assert_eq!(at, "WRONG");
    }

    #[test]
    fn places_outside_are_harmless() {
        let source = Source::new("a", "ä");
        assert_eq!(
            source.written(Place {
                start: 1,
                end: 9,
                line: 1,
                column: 1
            }),
            ""
        );
        for start in 0..5 {
            source.excerpt(Place {
                start,
                end: 9,
                line: 1,
                column: 1,
            });
        }
    }

    /// A place for each line of a long text costs no walk over the text each.
    #[test]
    fn places_of_many_lines_are_found_at_once() {
        let text = "spark.some.key value\n".repeat(100_000);
        let source = Source::new("a", &text);
        let began = std::time::Instant::now();
        for line in 1..=100_000 {
            let place = source.line_place(line);
            assert_eq!((place.line, place.column, place.start), (line, 1, (line - 1) * 21));
        }
        assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
        assert_eq!(source.line_place(200_000).start, text.len());
    }
}
