//! One task: an energy's plane through its operators, from one array to the other. Apart from `march`, which knows the order of
//! passes and nothing of planes.
#![allow(
    unsafe_code,
    reason = "tasks write disjoint planes of arrays that all of them read"
)]
use super::extent::Extent;
use super::form::{Direction, Fusion, Sparse};
use super::lanes::Cell;
use super::march::{March, Task, Way};
use super::operators::{
    Arrival, Collect, Deposit, Scatter, StreamGather, StreamScatter, Stretch, Target, run,
};
use super::tables::{Loss, SLACK, Tables};
use std::ops::Range;

/// What happens to a plane before it arrives.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Chain {
    ScatterStream,
    Stream,
    Stored,
}

/// Through what an energy's plane goes, and where it arrives.
#[derive(Clone, Copy, Debug)]
struct Course {
    chain: Chain,
    into: [Option<Into>; 2],
    /// Absent where another task enters it.
    entered: Option<Entered>,
}

impl Course {
    fn new(chain: Chain, into: [Option<Into>; 2], entered: Entered) -> Course {
        Course {
            chain,
            into,
            entered: Some(entered),
        }
    }
}

/// What of an arrival is entered into the ledger.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Entered {
    leaks: bool,
    doses: bool,
}

/// Room of a thread.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Scattered rows of a tile, `[angle][lead + tile + 1][pitch]`.
    tile: Vec<f32>,
    sums: Vec<f32>,
    escaped: Vec<f32>,
    buffer: Vec<f32>,
    /// Of the energies that a task takes from tile to tile together.
    arrived: Vec<Arrived>,
}

/// Weight that an energy's plane has after its chain.
#[derive(Clone, Debug, Default)]
struct Arrived {
    of_angles: Vec<f32>,
    of_rows: Vec<f64>,
}

impl Scratch {
    /// For tiles of so many rows.
    pub(super) fn new(tables: &Tables, rows: usize) -> Scratch {
        let (layout, grid) = (&tables.layout, &tables.grid);
        let values = rows * layout.pitch;
        Scratch {
            tile: vec![0.0; grid.angles * tile_slab(tables, rows) + SLACK],
            sums: vec![0.0; values + SLACK],
            escaped: vec![0.0; values + layout.lead * layout.pitch + SLACK],
            buffer: vec![0.0; values + 2 * (layout.pitch + 1) + SLACK],
            arrived: vec![],
        }
    }

    /// Empties the weights of so many energies.
    fn begin(&mut self, tables: &Tables, energies: usize) {
        if self.arrived.len() < energies {
            let (angles, rows) = (tables.grid.angles, tables.grid.nz);
            let none = Arrived {
                of_angles: vec![0.0; angles],
                of_rows: vec![0.0; rows],
            };
            self.arrived.resize(energies, none);
        }
        for arrived in &mut self.arrived[..energies] {
            arrived.of_angles.fill(0.0);
            arrived.of_rows.fill(0.0);
        }
    }

    /// The scattered rows after those that only a shift reads.
    fn stretch(&mut self, tables: &Tables, tile: usize) -> Stretch<f32> {
        let layout = &tables.layout;
        Stretch {
            first: self
                .tile
                .as_mut_ptr()
                .wrapping_add(layout.gap + layout.lead * layout.pitch),
            slab: tile_slab(tables, tile),
        }
    }
}

/// Values of a slab of scattered rows, with a row before them for each that a shift can cross and the gap of the row behind.
fn tile_slab(tables: &Tables, rows: usize) -> usize {
    let layout = &tables.layout;
    layout.gap + (layout.lead + rows + 1) * layout.pitch
}

/// A task's view of the march.
pub(super) struct Job<'a, S> {
    pub(super) march: &'a March<S>,
    pub(super) way: Way,
}

impl<S: Cell> Job<'_, S> {
    /// # Safety
    /// The processor has V's features; no other task that runs now has the same planes.
    pub(super) unsafe fn run(&self, task: &Task, scratch: &mut Scratch) {
        // SAFETY: as the caller promises.
        unsafe {
            match task {
                Task::Scatter(energies) => {
                    for e in energies.clone() {
                        self.scatter_plane(e, scratch);
                    }
                }
                Task::ScatterAgain(energies) => {
                    for e in energies.clone() {
                        self.scatter_in_place(e, scratch);
                    }
                }
                Task::Stream(energies) => {
                    for e in energies.clone() {
                        self.stream_plane(e, scratch);
                    }
                }
                Task::Deposit(energies) => self.deposit(energies, scratch),
                Task::Stop(energies) => {
                    let chain = self.last_chain();
                    for e in energies.clone() {
                        let entered = Entered {
                            leaks: chain != Chain::Stored,
                            doses: true,
                        };
                        self.flow_whole(e, &Course::new(chain, [None; 2], entered), scratch);
                    }
                }
                Task::Collect(energies) => {
                    for e in energies.clone() {
                        self.collect(e, scratch);
                    }
                }
            }
        }
    }

    /// What A_E does with a plane first.
    fn last_chain(&self) -> Chain {
        match self.march.form.fusion {
            Fusion::All => Chain::ScatterStream,
            Fusion::StreamEnergy => Chain::Stream,
            Fusion::None | Fusion::ThetaStream => Chain::Stored,
        }
    }

    /// An energy's plane of an array, from a row on.
    #[inline(always)]
    fn plane(&self, array: usize, energy: usize, row: usize) -> Stretch<S> {
        let layout = &self.march.tables.layout;
        Stretch {
            first: self.march.arrays[array]
                .pointer()
                .wrapping_add(layout.row(energy, 0, row)),
            slab: layout.slab,
        }
    }

    fn extent(&self, array: usize, energy: usize) -> Extent {
        // SAFETY: extents are written by the task that writes the plane, in an earlier pass.
        unsafe { *self.march.extents[array].pointer().add(energy) }
    }

    fn set_extent(&self, array: usize, energy: usize, extent: Extent) {
        // SAFETY: this task writes the plane.
        unsafe {
            self.march.extents[array]
                .pointer()
                .add(energy)
                .write(extent)
        }
    }

    /// Where a plane's weight may be after A_theta and A_s.
    fn reached(&self, energy: usize, chain: Chain, extent: Extent) -> Extent {
        let tables = &self.march.tables;
        if extent.is_empty() || chain == Chain::Stored {
            return extent;
        }
        let angles = match chain {
            Chain::ScatterStream => {
                self.march.taps[energy].targets(&extent.angles(), tables.grid.angles)
            }
            _ => extent.angles(),
        };
        Extent {
            angles: (angles.start, angles.end),
            rows: (
                extent.rows.0,
                (extent.rows.1 + tables.layout.lead).min(tables.grid.nz),
            ),
        }
    }

    /// A_theta alone, from one array to the other.
    unsafe fn scatter_plane(&self, energy: usize, scratch: &mut Scratch) {
        let Way { from, to } = self.way;
        let march = self.march;
        let (layout, extent) = (march.tables.layout, self.extent(from, energy));
        if extent.is_empty() {
            self.set_extent(to, energy, Extent::EMPTY);
            return;
        }
        let targets = march.taps[energy].targets(&extent.angles(), march.tables.grid.angles);
        for first in extent.rows().step_by(march.form.tile) {
            let rows = first..(first + march.form.tile).min(extent.rows.1);
            let stretch = self.plane(to, energy, first);
            // SAFETY: as the caller promises; rows are within the planes.
            unsafe {
                self.scatter_rows(energy, from, &extent, &rows, stretch, scratch);
                self.escape(energy, self.escaped(0, rows.len(), scratch));
                for angle in targets.clone() {
                    for row in 0..rows.len() {
                        let gap = stretch.first.add(angle * stretch.slab + row * layout.pitch);
                        std::slice::from_raw_parts_mut(gap, layout.gap).fill(S::default());
                    }
                }
            }
        }
        let extent = Extent {
            angles: (targets.start, targets.end),
            ..extent
        };
        self.set_extent(to, energy, extent);
        self.count(energy, self.cells(&extent));
    }

    /// A_theta of some rows; what escapes is in the scratch.
    unsafe fn scatter_rows<O: Cell>(
        &self,
        energy: usize,
        array: usize,
        extent: &Extent,
        rows: &Range<usize>,
        to: Stretch<O>,
        scratch: &mut Scratch,
    ) {
        let march = self.march;
        let (layout, taps) = (&march.tables.layout, &march.taps[energy]);
        let length = rows.len() * layout.pitch;
        let from = self.plane(array, energy, rows.start);
        let (sources, ahead) = (
            extent.angles(),
            if march.form.prefetches {
                layout.plane
            } else {
                0
            },
        );
        let escaped = &mut scratch.escaped[..length];
        escaped.fill(0.0);
        let mut scatter = Scatter {
            taps,
            from,
            to,
            length,
            targets: taps.targets(&sources, march.tables.grid.angles),
            sources,
            escaped: escaped.as_mut_ptr(),
            ahead,
            angle_block: march.form.angle_block,
        };
        // SAFETY: as the caller promises.
        unsafe { run(march.form.set, &mut scatter) };
    }

    /// The second half of A_theta: through the scratch, back into the same plane.
    unsafe fn scatter_in_place(&self, energy: usize, scratch: &mut Scratch) {
        let array = self.way.to;
        let march = self.march;
        let (layout, extent) = (march.tables.layout, self.extent(array, energy));
        if extent.is_empty() {
            return;
        }
        let targets = march.taps[energy].targets(&extent.angles(), march.tables.grid.angles);
        let slab = tile_slab(&march.tables, march.form.tile);
        for first in extent.rows().step_by(march.form.tile) {
            let rows = first..(first + march.form.tile).min(extent.rows.1);
            let scattered = Stretch {
                first: scratch.tile.as_mut_ptr(),
                slab,
            };
            let plane = self.plane(array, energy, first);
            // SAFETY: as the caller promises; a tile has room for its rows.
            unsafe {
                self.scatter_rows(energy, array, &extent, &rows, scattered, scratch);
                self.escape(energy, self.escaped(0, rows.len(), scratch));
                for angle in targets.clone() {
                    let from = scattered.first.add(angle * slab).cast_const();
                    let to = plane.first.add(angle * plane.slab);
                    for i in 0..rows.len() * layout.pitch {
                        *to.add(i) = S::from_f32(*from.add(i));
                    }
                }
            }
        }
        let extent = Extent {
            angles: (targets.start, targets.end),
            ..extent
        };
        self.set_extent(array, energy, extent);
        self.count(energy, self.cells(&extent));
    }

    /// A_s of a plane into the other array, after A_theta where they are fused.
    unsafe fn stream_plane(&self, energy: usize, scratch: &mut Scratch) {
        let Way { from, to } = self.way;
        let chain = match self.march.form.fusion {
            Fusion::None => Chain::Stream,
            _ => Chain::ScatterStream,
        };
        let extent = self.extent(from, energy);
        let reached = self.reached(energy, chain, extent);
        self.set_extent(to, energy, reached);
        let same = Into {
            energy,
            weight: 1.0,
            adds: false,
        };
        let entered = Entered {
            leaks: true,
            doses: false,
        };
        let course = Course::new(chain, [Some(same), None], entered);
        // SAFETY: as the caller promises.
        unsafe { self.flow_whole(energy, &course, scratch) };
    }

    /// Every energy that ends in the band, tile by tile, so that a plane's second part finds the first one in a cache; in ascending
    /// order, so that its upper weight comes before its lower.
    unsafe fn deposit(&self, band: &Range<usize>, scratch: &mut Scratch) {
        let Way { from, to } = self.way;
        let march = self.march;
        let chain = self.last_chain();
        let reached = |e: usize| self.reached(e, chain, self.extent(from, e));
        let is_dense = march.form.sparse == Sparse::None;
        for j in band.clone() {
            let extent = if is_dense {
                march.whole()
            } else {
                Extent::EMPTY
            };
            self.set_extent(to, j, extent);
            if is_dense && march.ending[j] == [None; 2] {
                self.fill(to, j, &extent, &Extent::EMPTY);
            }
        }
        let ends = band
            .clone()
            .flat_map(|j| march.ending[j].into_iter().flatten());
        let (first, last) = ends.fold((usize::MAX, 0), |(first, last), (e, _)| {
            (first.min(e), last.max(e + 1))
        });
        let is_active = |e: &usize| !reached(*e).is_empty();
        let sources: Vec<usize> = (first..last).filter(is_active).collect();
        scratch.begin(&march.tables, sources.len());
        let rows = march.tables.grid.nz + march.tables.layout.lead;
        for start in (0..rows).step_by(march.form.tile) {
            let tile = start..(start + march.form.tile).min(rows);
            for (place, &e) in sources.iter().enumerate() {
                let before = place.checked_sub(1).map(|p| sources[p]);
                let after = sources.get(place + 1).copied();
                let [lower, upper] = self.ends(e, band, before);
                // The account of an energy belongs to the task with its lower end.
                let entered = lower.map(|_| Entered {
                    leaks: chain != Chain::Stored,
                    doses: true,
                });
                let course = Course {
                    chain,
                    into: [lower, upper],
                    entered,
                };
                // SAFETY: as the caller promises.
                unsafe { self.flow(e, &course, &tile, place, scratch) };
                // The next energy adds to what this one has set, and to zeros around it.
                if let (Some(upper), Some(next)) = (upper, after)
                    && matches!(march.tables.losses[next], Loss::Down { low, .. } if low == upper.energy)
                {
                    let extent = reached(e);
                    let around = extent.around(&reached(next)).within(&tile);
                    self.fill(to, upper.energy, &around, &extent.within(&tile));
                }
            }
        }
        for (place, &e) in sources.iter().enumerate() {
            let arrived = &scratch.arrived[place];
            let (kept, left) = reached(e).trimmed(
                march.form.sparse,
                march.form.cutoff * f64::from(march.unit) * march.tables.weight,
                &arrived.of_rows,
                &arrived.of_angles,
            );
            let ends = self.ends(e, band, None);
            for into in ends.into_iter().flatten() {
                let around = self.extent(to, into.energy).around(&kept);
                self.set_extent(to, into.energy, around);
            }
            if ends[0].is_some() {
                // SAFETY: as above.
                unsafe { *march.ledger.cut.pointer().add(e) += left };
            }
        }
    }

    /// Where an energy ends within a band; it adds where the energy `before` it has set.
    fn ends(&self, energy: usize, band: &Range<usize>, before: Option<usize>) -> [Option<Into>; 2] {
        let losses = &self.march.tables.losses;
        let Loss::Down { low, weights } = losses[energy] else {
            return [None; 2];
        };
        let has_set =
            |e: usize| matches!(losses[e], Loss::Down { low: other, .. } if other + 1 == low);
        let into = |end: usize| {
            band.contains(&(low + end)).then(|| Into {
                energy: low + end,
                weight: weights[end],
                adds: end == 0 && before.is_some_and(has_set),
            })
        };
        [into(0), into(1)]
    }

    /// Zeros in a box, but not in the part of it that was written.
    fn fill(&self, array: usize, energy: usize, all: &Extent, written: &Extent) {
        let pitch = self.march.tables.layout.pitch;
        let zero = |angle: usize, rows: Range<usize>| {
            let plane = self.plane(array, energy, rows.start);
            // SAFETY: rows of a plane that this task writes.
            unsafe {
                let first = plane.first.add(angle * plane.slab);
                std::slice::from_raw_parts_mut(first, rows.len() * pitch).fill(S::default());
            }
        };
        for angle in all.angles() {
            if written.angles().contains(&angle) {
                zero(angle, all.rows.0..written.rows.0.max(all.rows.0));
                zero(angle, written.rows.1.min(all.rows.1)..all.rows.1);
            } else {
                zero(angle, all.rows());
            }
        }
    }

    /// A_E by collecting what ends in an energy; and, apart, the dose of the energy's own plane. Of all planes: what is collected
    /// is not weighed.
    unsafe fn collect(&self, energy: usize, scratch: &mut Scratch) {
        let Way { from, to } = self.way;
        let march = self.march;
        let dose = Entered {
            leaks: false,
            doses: true,
        };
        let whole = march.whole();
        self.set_extent(to, energy, whole);
        let sources = march.ending[energy]
            .map(|source| source.map(|(e, weight)| (self.plane(from, e, 0), weight)));
        // SAFETY: as the caller promises.
        unsafe {
            self.flow_whole(
                energy,
                &Course::new(Chain::Stored, [None; 2], dose),
                scratch,
            );
            let mut collect = Collect {
                from: sources,
                to: self.plane(to, energy, 0),
                length: whole.rows().len() * march.tables.layout.pitch,
                angles: whole.angles(),
            };
            run(march.form.set, &mut collect);
        }
    }

    /// Takes a whole plane through its chain.
    unsafe fn flow_whole(&self, energy: usize, course: &Course, scratch: &mut Scratch) {
        let march = self.march;
        scratch.begin(&march.tables, 1);
        let rows = march.tables.grid.nz + march.tables.layout.lead;
        for start in (0..rows).step_by(march.form.tile) {
            let tile = start..(start + march.form.tile).min(rows);
            // SAFETY: as the caller promises.
            unsafe { self.flow(energy, course, &tile, 0, scratch) };
        }
    }

    /// Takes those of a plane's rows that arrive in a tile through its chain to where they end; their weight is added to
    /// `scratch.arrived[place]`.
    unsafe fn flow(
        &self,
        energy: usize,
        course: &Course,
        tile: &Range<usize>,
        place: usize,
        scratch: &mut Scratch,
    ) {
        let Course {
            chain,
            into,
            entered,
        } = *course;
        let march = self.march;
        let (tables, layout) = (&march.tables, march.tables.layout);
        let extent = self.extent(self.way.from, energy);
        let beyond = if chain == Chain::Stored {
            0
        } else {
            layout.lead
        };
        let rows = extent.rows.0.max(tile.start)..(extent.rows.1 + beyond).min(tile.end);
        if extent.is_empty() || rows.is_empty() {
            return;
        }
        let reached = self.reached(energy, chain, extent);
        let first = rows.start;
        let inside = rows.end.min(tables.grid.nz).max(first) - first;
        let length = rows.len() * layout.pitch;
        scratch.sums[..length].fill(0.0);
        // SAFETY: as the caller promises; rows are within planes and tiles.
        unsafe {
            let from = match chain {
                Chain::ScatterStream => {
                    let escaped = self.scatter_tile(energy, &extent, &rows, scratch);
                    if entered.is_some() {
                        self.escape(energy, escaped);
                    }
                    Source::Tile(scratch.stretch(tables, march.form.tile))
                }
                _ => Source::Plane(self.plane(self.way.from, energy, first)),
            };
            let targets = into.map(|into| {
                into.map(|into| Target {
                    stretch: self.plane(self.way.to, into.energy, first),
                    weight: into.weight,
                    adds: into.adds,
                })
            });
            let arrival = Arrival {
                length,
                inside: inside * layout.pitch,
                angles: reached.angles(),
                sums: scratch.sums.as_mut_ptr(),
                angle_weights: &mut scratch.arrived[place].of_angles,
                targets,
            };
            let buffer = &mut scratch.buffer;
            match (from, chain) {
                (Source::Plane(from), Chain::Stored) => {
                    run(march.form.set, &mut Deposit { from, arrival });
                }
                (Source::Plane(from), _) => self.stream(from, arrival, buffer),
                (Source::Tile(from), _) => self.stream(from, arrival, buffer),
            }
        }
        self.enter(
            energy,
            &rows,
            entered,
            &scratch.sums,
            &mut scratch.arrived[place],
        );
        if entered.is_some() {
            let cells = reached.angles().len() * rows.len() * tables.grid.nx;
            self.count(energy, cells);
        }
    }

    /// A_s in the chosen form.
    unsafe fn stream<I: Cell>(
        &self,
        from: Stretch<I>,
        arrival: Arrival<'_, S>,
        buffer: &mut [f32],
    ) {
        let March { form, tables, .. } = self.march;
        let (shifts, pitch) = (&tables.shifts[..], tables.layout.pitch);
        // SAFETY: as the caller promises.
        unsafe {
            match form.streaming {
                Direction::Gather => {
                    let mut gather = StreamGather {
                        shifts,
                        pitch,
                        from,
                        arrival,
                    };
                    run(form.set, &mut gather);
                }
                Direction::Scatter => {
                    let mut scatter = StreamScatter {
                        shifts,
                        pitch,
                        from,
                        arrival,
                        buffer,
                    };
                    run(form.set, &mut scatter);
                }
            }
        }
    }

    /// Scattered rows in the scratch's tile, from as many before `rows` as a shift can cross. Gives the weight that escaped from
    /// `rows`.
    unsafe fn scatter_tile(
        &self,
        energy: usize,
        extent: &Extent,
        rows: &Range<usize>,
        scratch: &mut Scratch,
    ) -> f64 {
        let march = self.march;
        let layout = march.tables.layout;
        let pitch = layout.pitch;
        let targets = march.taps[energy].targets(&extent.angles(), march.tables.grid.angles);
        // Row 0 of the tile is `lead` rows before the first, which may be before the plane's.
        let scattered =
            rows.start.saturating_sub(layout.lead).max(extent.rows.0)..rows.end.min(extent.rows.1);
        let row = |z: usize| layout.gap + (z + layout.lead - rows.start) * pitch;
        let slab = tile_slab(&march.tables, march.form.tile);
        let (first, last) = (
            row(scattered.start),
            row(scattered.end.max(scattered.start)),
        );
        for angle in targets.clone() {
            let slab = &mut scratch.tile[angle * slab..(angle + 1) * slab];
            slab[..first].fill(0.0);
            slab[last..row(rows.end) + layout.gap].fill(0.0);
        }
        if scattered.is_empty() {
            return 0.0;
        }
        let tile = Stretch {
            first: scratch.tile.as_mut_ptr().wrapping_add(first),
            slab,
        };
        let from = self.way.from;
        // SAFETY: as the caller promises; the tile has room for its rows.
        unsafe {
            self.scatter_rows(energy, from, extent, &scattered, tile, scratch);
            for angle in targets {
                for row in 0..scattered.len() {
                    let gap = tile.first.add(angle * slab + row * pitch);
                    std::slice::from_raw_parts_mut(gap, layout.gap).fill(0.0);
                }
            }
        }
        self.escaped(
            scattered.start.max(rows.start) - scattered.start,
            scattered.len(),
            scratch,
        )
    }

    /// Sum over some of the rows that were scattered last.
    fn escaped(&self, first: usize, end: usize, scratch: &Scratch) -> f64 {
        let layout = &self.march.tables.layout;
        let rows = scratch.escaped[..end * layout.pitch].chunks_exact(layout.pitch);
        let cells = rows.skip(first).flat_map(|row| &row[layout.gap..]);
        cells.map(|v| f64::from(*v)).sum()
    }

    /// The sums of some rows into the ledger.
    fn enter(
        &self,
        energy: usize,
        rows: &Range<usize>,
        entered: Option<Entered>,
        sums: &[f32],
        arrived: &mut Arrived,
    ) {
        let march = self.march;
        let (layout, grid) = (march.tables.layout, march.tables.grid);
        let weight = |values: &[f32]| values.iter().map(|v| f64::from(*v)).sum::<f64>();
        let mut leaked = 0.0;
        for (row, sums) in rows.clone().zip(sums.chunks_exact(layout.pitch)) {
            if row >= grid.nz {
                leaked += weight(sums);
                continue;
            }
            let (gap, cells) = sums.split_at(layout.gap);
            leaked += weight(gap);
            arrived.of_rows[row] = weight(cells);
            if entered.is_some_and(|e| e.doses) {
                let first = energy * grid.places() + row * grid.nx;
                // SAFETY: the account of this energy is this task's.
                unsafe {
                    let account = march.ledger.arrived.pointer().add(first);
                    for (x, value) in cells.iter().enumerate() {
                        *account.add(x) += f64::from(*value);
                    }
                }
            }
        }
        if entered.is_some_and(|e| e.leaks) {
            // SAFETY: as above.
            unsafe { *march.ledger.leaked.pointer().add(energy) += leaked };
        }
    }

    fn cells(&self, extent: &Extent) -> usize {
        extent.angles().len() * extent.rows().len() * self.march.tables.grid.nx
    }

    fn escape(&self, energy: usize, weight: f64) {
        // SAFETY: the account of this energy is this task's.
        unsafe { *self.march.ledger.escaped.pointer().add(energy) += weight };
    }

    fn count(&self, energy: usize, cells: usize) {
        // SAFETY: the account of this energy is this task's.
        unsafe { *self.march.ledger.cells.pointer().add(energy) += cells as u64 };
    }
}

/// A plane's end in another energy.
#[derive(Clone, Copy, Debug)]
struct Into {
    energy: usize,
    weight: f32,
    adds: bool,
}

/// Where the streaming reads.
enum Source<S> {
    Plane(Stretch<S>),
    Tile(Stretch<f32>),
}
