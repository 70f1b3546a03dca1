"""Arrays in, arrays out: the loops under the differentiable functions. No Tensor comes here.

The rooms above say *what* is computed; here stands how. Activations lie in memory with the batch
innermost, (C, H, W, N), whatever their logical shape (N, C, H, W): long contiguous runs, and the
matrix product needs no copy.

    memory.py        arrays in a chosen memory order
    broadcasting.py  the adjoint of broadcasting
    windows.py       the pixels that each tap of a kernel meets
    plain/           convolution and pooling in a few lines each, for NumPy and CuPy

A first reading may stop there. How the same sums become as fast as in the large libraries:

    door.py          whether the fast forms are used
    free_list.py     memory that is used again
    workers.py       threads that share one operation
    choice.py        which kernel runs, and how work is cut: every rule
    fast/            the same functions, in tiles

Read next: kernels/memory.py
"""
