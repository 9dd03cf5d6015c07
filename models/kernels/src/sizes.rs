//! Sizes by which kernels divide their work at the widest instruction set, for whoever states what that is.

/// Output channels of a panel of packed weights: a cache line, and a whole number of vectors everywhere. So many make a block.
pub const PANEL: usize = 16;

/// Depth of a block of a product: a tile's pixels, or the weights of some panels, stay in the first-level cache.
pub const DEPTH: usize = 128;

/// Up to this many output channels a plain 1×1 product of planes reads the map where it lies: gathering would not pay.
pub const IN_PLACE_CHANNELS: usize = 32;

/// Input channels up to which a larger kernel reads rows that were copied once.
pub const FEW_CHANNELS: usize = 4;

/// The same of a group, each of which has few outputs for every value gathered, and output columns from which on.
pub const FEW_CHANNELS_OF_A_GROUP: [usize; 2] = [16, 12];

/// Panels of output channels that an input value is broadcast to at once.
pub const PANELS_ABREAST: usize = 4;

/// Columns of a depthwise layer that are computed at once, enough to hide the latency of the multiply-adds.
pub const COLUMNS_ABREAST: usize = 8;

/// Columns of a group of Winograd's algorithm, and products for every one of a row.
pub const COLUMNS: usize = 4;
/// See [`COLUMNS`].
pub const ALONG: usize = 6;

/// Groups of columns in a band of rows below which Winograd's weights pass by too often.
pub const FEW_GROUPS: usize = 96;

/// Values of the transformed input of a band of rows that stay in the second-level cache; the same where fewer rows would fill too
/// few tiles: one point's share stays there while the weights of some panels pass by.
pub const ROWS_TRANSFORMED: [usize; 2] = [160 * 1024, 256 * 1024];

/// The same of a band of pairs of rows, of which one point's share stays there.
pub const PAIRS_TRANSFORMED: usize = 400 * 1024;

/// The same of blocks of channels.
pub const BLOCKS_TRANSFORMED: usize = 256 * 1024;
