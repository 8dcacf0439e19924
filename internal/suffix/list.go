// Code generated from public_suffix_list.dat; DO NOT EDIT.

package suffix

// Date is that of the list.
const Date = "2026-10-22"
