//! Tables that a person can read on 80 columns.

use anstyle::Style;
use comfy_table::{ContentArrangement, Table, presets};

use super::output::visible;

const WIDTH: u16 = 80;
const HEADER: Style = Style::new().bold();

/// Lays out rows under a header, each line without trailing space. Long cells are wrapped.
pub(super) fn render<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header);
    for row in rows {
        table.add_row(row.iter().map(|cell| visible(cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut lines = table.lines().map(|line| line.trim_end().to_owned());
    let first = lines.next().unwrap_or_default();
    let mut text = format!("{HEADER}{first}{HEADER:#}\n");
    lines.for_each(|line| {
        text.push_str(&line);
        text.push('\n');
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_80_columns() {
        let long = "a-connection-name-that-is-as-long-as-a-name-may-be-which-is-64-x";
        let rows = [
            ["GitHub [github]".into(), long.into(), "connected".into()],
            [long.into(), "x".into(), "y".into()],
        ];
        let text = render(["Provider", "Connection", "Status"], rows);
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert!(plain.lines().all(|line| line.chars().count() <= 80), "{plain}");
        assert!(plain.starts_with("Provider "), "{plain}");
    }
}
