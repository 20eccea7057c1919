"""The front door: ``python app.py``; also what a Hugging Face Space runs."""

from studio.ui.serve import main

if __name__ == "__main__":
    main()
