"""Write every reference page."""

from tools.reference.pages import DOCS, PAGES

for name, text in PAGES.items():
    (DOCS / name).write_text(text(), encoding="utf-8")
    print(f"docs: docs/{name}")
