"""Makes the workbooks beside this file, with openpyxl, msoffcrypto-tool and LibreOffice (`soffice`), as those programs
write them: python make.py FOLDER. They were made once; no test runs this."""

import datetime
import pathlib
import subprocess
import sys
import tempfile

import msoffcrypto.format.ooxml
import openpyxl
from openpyxl.cell.rich_text import CellRichText, TextBlock
from openpyxl.cell.text import InlineFont
from openpyxl.comments import Comment
from openpyxl.styles import Font

HERE = pathlib.Path(sys.argv[1])
IDS = [f"{number:08x}-0000-4000-8000-000000000001" for number in range(1, 40)]


def rows():
    """Every trap once: cell by cell, what somebody has in a roster, with a remark of what it is."""
    yield ["user_id", "email", "employee_type", "Bemerkung"]
    yield [IDS[0], "ada@example.com", "User", "plain"]
    yield [12345678901234567890, "", "User", "id as a number"]
    yield [IDS[1], "", 2, "type as a number"]
    yield [IDS[2], "", datetime.date(2026, 11, 1), "type as a date"]
    yield [IDS[3], "", "=1/0", "error"]
    yield [IDS[4], "", True, "truth"]
    yield ['=HYPERLINK("mailto:bo@example.com","%s")' % IDS[5], "", "User", "hyperlink by formula"]
    yield [IDS[6], '=CONCATENATE("cy","@example.com")', "User", "formula of text"]
    yield [IDS[7], "di@example.com", "User", "linked"]
    yield [IDS[8], "", "User", "merged down"]
    yield [IDS[9], "", "", "merged with the one above"]
    yield [IDS[10], "", "Guest", "rich text"]
    yield [IDS[11], "", "Guest ", "blanks and\nlines"]
    yield [IDS[12], "", "Guest", "y" * 32000]
    yield [None, None, None, None]
    yield [IDS[13], "", "Guest", "after an empty row, " + "\u00fc\u200b\U0001f600"]
    yield [IDS[14], "ed@example.com", "Guest", 3.5, "beyond the header"]
    yield [IDS[15], "", "Guest", "=1+1"]
    yield [IDS[16], "", "Guest", "apostrophe"]
    # Pulled down further than the rows go, as people do.
    yield [None, None, None, '=IF(A21="","","x")']
    yield [None, None, '=IF(A22="","","User")', '=IF(A22="","","x")']


def traps():
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Neue Kollegen"
    for row in rows():
        sheet.append(row)
    for row in range(1, sheet.max_row + 1):
        if sheet.cell(row, 4).value == "rich text":
            parts = [TextBlock(InlineFont(b=True), "Gu"), "est"]
            sheet.cell(row, 3).value = CellRichText(*parts)
        if sheet.cell(row, 4).value == "linked":
            sheet.cell(row, 2).hyperlink = "mailto:somebody.else@example.com"
        if sheet.cell(row, 4).value == "merged down":
            sheet.merge_cells(start_row=row, end_row=row + 1, start_column=3, end_column=3)
        if sheet.cell(row, 4).value == "apostrophe":
            sheet.cell(row, 1).quotePrefix = True
    sheet["A2"].comment = Comment("is this Ada?", "HR")
    sheet["A1"].font = Font(bold=True)
    sheet.row_dimensions[13].hidden = True
    sheet["XFD1048576"].font = Font(bold=True)
    other = book.create_sheet("Lies mich")
    other["B3"] = "Nothing to see here"
    hidden = book.create_sheet("Alt")
    hidden.append(["user_id", "employee_type"])
    hidden.append([IDS[0], "DocSpaceAdmin"])
    hidden.sheet_state = "hidden"
    return book


def small(*more):
    book = openpyxl.Workbook()
    book.active.title = "Liste"
    for row in [*more, ["user_id", "employee_type"], [IDS[0], "User"]]:
        book.active.append(row)
    return book


def office(source, kind, into):
    subprocess.run(
        ["soffice", "--headless", "--convert-to", kind, "--outdir", str(into), str(source)],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    traps().save(HERE / "openpyxl.xlsx")
    small(["New colleagues in November"], []).save(HERE / "title.xlsx")
    small().save(folder / "small.xlsx")
    # LibreOffice computes the formulas, shares the texts, and writes its own styles.
    (folder / "out").mkdir()
    office(HERE / "openpyxl.xlsx", "xlsx:Calc MS Excel 2007 XML", folder / "out")
    (folder / "out" / "openpyxl.xlsx").rename(HERE / "libreoffice.xlsx")
    for kind in ["xls", "ods", "xlsm:Calc MS Excel 2007 VBA XML"]:
        office(folder / "small.xlsx", kind, HERE)
    with open(folder / "small.xlsx", "rb") as plain, open(HERE / "password.xlsx", "wb") as locked:
        msoffcrypto.format.ooxml.OOXMLFile(plain).encrypt("secret", locked)
