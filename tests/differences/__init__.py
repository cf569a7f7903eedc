"""Every row of docs/differences.md, shown on the C program and on ours."""
