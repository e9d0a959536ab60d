//! Prints how often each run asks for memory. A program of its own, because counting takes time.

fn main() {
    for mut run in irsa_bench::runs() {
        // What is made once is made before.
        (run.once)();
        println!("{}", allocation_counter::measure(&mut run.once).count_total);
    }
}
