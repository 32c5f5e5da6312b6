//! A table in aligned columns.

/// Rows of cells, the first one with the headings. The last column is not padded.
#[derive(Debug)]
pub struct Table(Vec<Vec<String>>);

impl Table {
    /// A table without a row, with these headings.
    pub fn new(headings: &[&str]) -> Table {
        Table(vec![headings.iter().map(|heading| (*heading).to_owned()).collect()])
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().collect());
    }

    /// The rows as lines, with two spaces between columns.
    pub fn lines(&self) -> Vec<String> {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.0.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["A", "BBB"]);
        table.row(["aaaa".to_owned(), "b".to_owned()]);
        table.row(["ä".to_owned(), String::new()]);
        assert_eq!(table.lines(), ["A     BBB", "aaaa  b", "ä"]);
    }
}
