"""`make up`, `preview`, `down` and `status`: one checkout, its two stacks `dev` and `live`, and its emulator."""
