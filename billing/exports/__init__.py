"""Export formats, one module each. `FORMATS` is what export_statements offers."""

from billing.exports.csv_files import write_csv_files

FORMATS = {"csv": write_csv_files}
PLANNED = ("xero", "quickbooks", "focus", "ubl", "journal", "pdf")
