"""Grades students' notebooks with the tests of the teacher's.

Read in this order: `command` (what is typed), `lesson` and `submission` (the two notebooks, as `notebook` reads them),
`client` and `server` (which imports once, and starts two processes for each exercise), `judge` (the trusted one: it
runs the tests), `worker` (the untrusted one: it runs the student's cells), `wire` and `remote_proxy` (what passes
between the two), `sandbox` and `system_calls` (what holds the untrusted one), `report`.
"""
