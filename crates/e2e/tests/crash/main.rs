//! What was promised holds when the process is killed, told to end, started twice, or out of disk.

mod ending;
mod full_disk;
mod killing;
