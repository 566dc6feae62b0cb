"""Write every reference page."""

from tools.reference.pages import PAGES, ROOT

for name, text in PAGES.items():
    (ROOT / name).write_text(text(), encoding="utf-8")
    print(f"docs: {name}")
