//! The little of SVG that charts need.
//!
//! A drawing brings its own colours, light or dark as the reader's system asks, and its own
//! background, so that it can be read wherever it is shown. Text is placed by its anchor, never by
//! a guess at its width.
#![forbid(unsafe_code)]

use std::fmt::{Display, Write};

/// A drawing in the making.
#[derive(Debug)]
pub(crate) struct Svg {
    width: f64,
    body: String,
}

/// Where a text stands to its point.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Anchor {
    /// It begins there.
    Start,
    /// It is centred there.
    Middle,
    /// It ends there.
    End,
}

/// A colour of text and shapes, by what it says.
const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:12px;fill:var(--text)}\
.h1{font-size:20px;font-weight:600}.h2{font-size:14px;font-weight:600}.strong{font-weight:600}\
.muted{fill:var(--muted)}.small{font-size:11px;fill:var(--muted)}.num{font-variant-numeric:tabular-nums}\
.bg{fill:var(--bg)}.band{fill:var(--band)}.grid{stroke:var(--grid);stroke-width:1}.axis{stroke:var(--muted);stroke-width:1.5}\
.ours{fill:var(--ours)}.peer{fill:var(--peer)}.limit{fill:none;stroke:var(--peer);stroke-width:1.2;stroke-dasharray:3 2}\
.best{fill:var(--best)}.gap{stroke:var(--bg);stroke-width:3}\
.ahead{fill:var(--ahead)}.tie{fill:var(--tie)}.behind{fill:var(--behind)}.fair{fill:var(--band)}.worse{fill:var(--worse)}.bad{fill:var(--bad)}";

/// The colours by day and by night.
const LIGHT: &str = "--bg:#ffffff;--band:#f3f5f8;--text:#1f2328;--muted:#626c78;--grid:#dfe3e8;--ours:#0b6bcb;--peer:#b4bcc6;\
--best:#8792a0;--ahead:#1a7f37;--tie:#9a6700;--behind:#c9302c;--worse:#ffe9a8;--bad:#ffc4b8";
const DARK: &str = "--bg:#0d1117;--band:#171d26;--text:#e6edf3;--muted:#9aa4b0;--grid:#2b323b;--ours:#4aa3ff;--peer:#4b5562;\
--best:#76828f;--ahead:#3fb950;--tie:#d29922;--behind:#f85149;--worse:#5a4708;--bad:#77281f";

impl Svg {
    /// An empty drawing of that width.
    pub(crate) fn new(width: f64) -> Svg {
        Svg {
            width,
            body: String::new(),
        }
    }

    /// A rectangle; without a positive width, nothing. What it stands for is shown when one points
    /// at it.
    pub(crate) fn bar(&mut self, at: (f64, f64), size: (f64, f64), class: &str, says: &str) {
        if size.0 <= 0.0 {
            return;
        }
        let (x, y, w, h) = (Px(at.0), Px(at.1), Px(size.0), Px(size.1));
        let radius = Px((size.0 / 2.0).min(2.0));
        let _ = writeln!(
            self.body,
            r#"<rect x="{x}" y="{y}" width="{w}" height="{h}" rx="{radius}" class="{class}"><title>{}</title></rect>"#,
            Escaped(says)
        );
    }

    /// A straight line.
    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let (x1, y1, x2, y2) = (Px(from.0), Px(from.1), Px(to.0), Px(to.1));
        let _ = writeln!(
            self.body,
            r#"<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" class="{class}"/>"#
        );
    }

    /// A dot.
    pub(crate) fn dot(&mut self, at: (f64, f64), radius: f64, class: &str, says: &str) {
        let (x, y, r) = (Px(at.0), Px(at.1), Px(radius));
        let _ = writeln!(
            self.body,
            r#"<circle cx="{x}" cy="{y}" r="{r}" class="{class}"><title>{}</title></circle>"#,
            Escaped(says)
        );
    }

    /// A line of text on its baseline.
    pub(crate) fn text(&mut self, at: (f64, f64), anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let _ = writeln!(
            self.body,
            r#"<text x="{}" y="{}" text-anchor="{anchor}" class="{class}">{}</text>"#,
            Px(at.0),
            Px(at.1),
            Escaped(text)
        );
    }

    /// The whole, so high, with what it shows for those who cannot see it.
    pub(crate) fn finish(self, height: f64, says: &str) -> String {
        let (w, h) = (Px(self.width), Px(height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"img\">\n\
             <title>{}</title>\n\
             <style>:root{{{LIGHT}}}@media(prefers-color-scheme:dark){{:root{{{DARK}}}}}{STYLE}</style>\n\
             <rect width=\"{w}\" height=\"{h}\" rx=\"8\" class=\"bg\"/>\n{}</svg>\n",
            Escaped(says),
            self.body
        )
    }
}

/// A coordinate, to a tenth: more would only make the file longer.
struct Px(f64);

impl Display for Px {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = (self.0 * 10.0).round() / 10.0;
        write!(f, "{tenths}")
    }
}

struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for c in self.0.chars() {
            match c {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                '"' => f.write_str("&quot;")?,
                // What XML 1.0 does not allow at all.
                c if c.is_control() => f.write_str(" ")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Fails unless every element is closed, in order, every attribute quoted, and no coordinate is
    /// out of all bounds.
    pub(crate) fn check(svg: &str) {
        let mut open: Vec<&str> = Vec::new();
        let mut rest = svg;
        while let Some(at) = rest.find('<') {
            let text = &rest[..at];
            let escapes = ["&lt;", "&gt;", "&amp;", "&quot;"];
            let escaped: usize = escapes.iter().map(|e| text.matches(e).count()).sum();
            assert_eq!(text.matches('&').count(), escaped, "a bare & in {text}");
            let end = rest[at..].find('>').expect("a tag ends") + at;
            let tag = &rest[at + 1..end];
            assert_eq!(tag.matches('"').count() % 2, 0, "an open quote in <{tag}>");
            assert!(!tag.contains("NaN") && !tag.contains("inf"), "<{tag}>");
            if let Some(closed) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(closed), "</{closed}>");
            } else if !tag.ends_with('/') {
                open.push(tag.split_whitespace().next().expect("a name"));
            }
            rest = &rest[end + 1..];
        }
        assert!(open.is_empty(), "{open:?} stay open");
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn text_cannot_break_the_drawing() {
        let mut svg = Svg::new(100.0);
        svg.text(
            (1.0, 2.0),
            Anchor::Start,
            "small",
            "<b> & \"quotes\" \u{1b}",
        );
        svg.bar((0.0, 0.0), (3.0, 3.0), "peer", "a < b & c");
        let text = svg.finish(50.0, "5 > 4");
        check(&text);
        assert!(text.contains("&lt;b&gt; &amp; &quot;quotes&quot;"));
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_bar_without_width_is_not_drawn() {
        let mut svg = Svg::new(100.0);
        svg.bar((0.0, 0.0), (0.0, 3.0), "peer", "nothing");
        assert!(!svg.finish(50.0, "").contains("nothing"));
    }

    #[test]
    #[should_panic(expected = "stay open")]
    fn the_check_itself_sees_an_open_element() {
        check("<svg ><g></svg >".replace("</svg >", "").as_str());
    }
}
