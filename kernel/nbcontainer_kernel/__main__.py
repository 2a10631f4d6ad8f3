"""`python -m nbcontainer_kernel -f FILE`: what the kernelspec runs."""

from __future__ import annotations

from ipykernel.kernelapp import IPKernelApp

from nbcontainer_kernel.kernel import ContainersKernel

if __name__ == "__main__":
    IPKernelApp.launch_instance(kernel_class=ContainersKernel)
