"""One room per kind of upstream write: what is sent, how its answer is stored, and how to see later whether it was done."""
