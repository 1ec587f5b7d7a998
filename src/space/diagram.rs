//! Combinations of a group of parameters as a decision diagram: a node for each way in which the parameters bound so far can be
//! continued, however many combinations lead there. 10^12 of them may need a few thousand nodes, and still each has a number that
//! is found, and that finds it, in one walk from the root (Knuth, The Art of Computer Programming 4A, §7.1.4).
use super::intern::Interner;

#[derive(Clone, Debug)]
pub(super) struct Diagram {
    /// The parameters, in the order in which they are bound.
    pub(super) order: Vec<usize>,
    layers: Vec<Layer>,
    pub(super) count: u64,
}

/// The edges of the nodes that bind one parameter, ascending in each node.
#[derive(Clone, Debug, Default)]
struct Layer {
    /// Where each node's edges end.
    ends: Vec<u32>,
    digits: Vec<u16>,
    /// Node of the next layer.
    targets: Vec<u32>,
    /// Combinations behind the smaller edges of the same node.
    before: Vec<u64>,
}

/// An edge as it is found: from node to node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) source: u32,
    pub(super) digit: u16,
    pub(super) target: u32,
}

impl Layer {
    fn edges(&self, node: u32) -> std::ops::Range<usize> {
        let node = node as usize;
        let start = node.checked_sub(1).map_or(0, |before| self.ends[before]);
        start as usize..self.ends[node] as usize
    }
}

impl Diagram {
    /// From edges in ascending order, layer by layer; every node after the last layer is an end. Nodes that lead nowhere are left
    /// out, and those that are continued by the same digits become one.
    ///
    /// # Errors
    /// More than 2^64 combinations.
    pub(super) fn new(order: Vec<usize>, found: &[Vec<Edge>]) -> Result<Diagram, String> {
        let mut layers = vec![];
        // By number in `found`, the number here and how many combinations lie behind; all ends are one node.
        let mut merged: Option<Vec<Option<u32>>> = None;
        let mut counts: Vec<u64> = vec![1];
        for edges in found.iter().rev() {
            let mut layer = Layer::default();
            let mut own_counts = vec![];
            let mut numbers = Interner::default();
            let sources = edges.last().map_or(0, |e| e.source as usize + 1);
            let mut own: Vec<Option<u32>> = vec![None; sources];
            let mut key = vec![];
            for node in edges.chunk_by(|a, b| a.source == b.source) {
                key.clear();
                for edge in node {
                    let target = match &merged {
                        None => Some(0),
                        Some(merged) => merged.get(edge.target as usize).copied().flatten(),
                    };
                    key.extend(target.map(|t| u64::from(edge.digit) << 32 | u64::from(t)));
                }
                if key.is_empty() {
                    continue;
                }
                let (number, is_new) = numbers.number(&key);
                own[node[0].source as usize] = Some(number);
                if is_new {
                    let total = layer.add(&key, &counts);
                    own_counts.push(total.ok_or("the space has more than 2^64 configurations")?);
                }
            }
            layer.shrink();
            layers.push(layer);
            merged = Some(own);
            counts = own_counts;
        }
        layers.reverse();
        Ok(Diagram {
            order,
            layers,
            count: counts.first().copied().unwrap_or(0),
        })
    }

    /// The digits of the combination of this number, in the diagram's order.
    pub(super) fn digits(&self, rank: u64) -> Vec<u16> {
        let (mut node, mut rest) = (0, rank);
        let step = |layer: &Layer| {
            let edges = layer.edges(node);
            let at = edges.start + layer.before[edges].partition_point(|b| *b <= rest) - 1;
            rest -= layer.before[at];
            node = layer.targets[at];
            layer.digits[at]
        };
        self.layers.iter().map(step).collect()
    }

    /// The number of a combination; absent if it is not in the diagram.
    pub(super) fn rank(&self, digits: impl Iterator<Item = u16>) -> Option<u64> {
        let (mut node, mut rank) = (0, 0);
        if self.count == 0 {
            return None;
        }
        for (layer, digit) in self.layers.iter().zip(digits) {
            let edges = layer.edges(node);
            let at = edges.start + layer.digits[edges].binary_search(&digit).ok()?;
            rank += layer.before[at];
            node = layer.targets[at];
        }
        Some(rank)
    }

    /// What it takes on the heap.
    pub(super) fn bytes(&self) -> usize {
        let layer = |l: &Layer| {
            size_of_val(&*l.ends)
                + size_of_val(&*l.digits)
                + size_of_val(&*l.targets)
                + size_of_val(&*l.before)
                + size_of::<Layer>()
        };
        self.layers.iter().map(layer).sum::<usize>() + size_of_val(&*self.order)
    }

    /// All combinations, row after row, ascending.
    pub(super) fn rows(&self) -> Vec<u16> {
        let mut rows = Vec::with_capacity(self.count as usize * self.order.len());
        let mut row = vec![0; self.order.len()];
        if self.count > 0 {
            self.list(0, 0, &mut row, &mut rows);
        }
        rows
    }

    fn list(&self, depth: usize, node: u32, row: &mut [u16], rows: &mut Vec<u16>) {
        let Some(layer) = self.layers.get(depth) else {
            rows.extend_from_slice(row);
            return;
        };
        for at in layer.edges(node) {
            row[depth] = layer.digits[at];
            self.list(depth + 1, layer.targets[at], row, rows);
        }
    }
}

impl Layer {
    /// A node with these edges, digit and target in one word; how many combinations are behind it.
    fn add(&mut self, key: &[u64], counts: &[u64]) -> Option<u64> {
        let mut total = 0_u64;
        for word in key {
            let target = *word as u32;
            self.digits.push((word >> 32) as u16);
            self.targets.push(target);
            self.before.push(total);
            total = total.checked_add(counts[target as usize])?;
        }
        self.ends.push(self.digits.len() as u32);
        Some(total)
    }

    fn shrink(&mut self) {
        self.ends.shrink_to_fit();
        self.digits.shrink_to_fit();
        self.targets.shrink_to_fit();
        self.before.shrink_to_fit();
    }
}
