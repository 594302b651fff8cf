#include "cost/plot.h"

#include <math.h>
#include <stdio.h>

#define INK "#222"

/* Names may have what means something in SVG. */
static void add_escaped(struct cairn_buf *to, const char *text)
{
    for (; *text; text++) {
        if (*text == '<' || *text == '&' || *text == '>')
            cairn_buf_printf(to, "&#%d;", *text);
        else
            cairn_buf_u8(to, (uint8_t)*text);
    }
}

void plot_begin(struct cairn_buf *to, double height, const char *title)
{
    cairn_buf_printf(
        to,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%.0f\" font-family=\"sans-serif\" "
        "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
        PLOT_PICTURE_WIDTH, height);
    plot_text(to, PLOT_MARGIN, 28, "start", INK, title);
}

void plot_end(struct cairn_buf *to)
{
    cairn_buf_str(to, "</svg>\n");
}

struct plot_axes plot_axes(double y)
{
    return (struct plot_axes){.left = INFINITY, .right = -INFINITY, .bottom = INFINITY, .top = -INFINITY, .y = y};
}

void plot_widen(struct plot_axes *axes, double value)
{
    if (value > 0) {
        axes->bottom = fmin(axes->bottom, floor(log10(value)));
        axes->top = fmax(axes->top, ceil(log10(value)));
    }
}

void plot_widen_rate(struct plot_axes *axes, double value)
{
    if (value > 0) {
        axes->left = fmin(axes->left, floor(log10(value)));
        axes->right = fmax(axes->right, floor(log10(value)) + 1);
    }
}

void plot_settle(struct plot_axes *axes)
{
    if (axes->bottom > axes->top)
        axes->bottom = axes->top = 0; /* everything is free */
    if (axes->bottom == axes->top)
        axes->top++;
    if (axes->left > axes->right)
        axes->left = axes->right = 0;
    if (axes->left == axes->right)
        axes->right++;
}

double plot_x(const struct plot_axes *axes, double value)
{
    return PLOT_MARGIN + (log10(value) - axes->left) / (axes->right - axes->left) * PLOT_WIDTH;
}

double plot_y(const struct plot_axes *axes, double value)
{
    return axes->y + PLOT_HEIGHT - (log10(value) - axes->bottom) / (axes->top - axes->bottom) * PLOT_HEIGHT;
}

void plot_grid(struct cairn_buf *to, const struct plot_axes *axes, const char *title)
{
    char text[96];

    for (double power = axes->left; power <= axes->right; power++) {
        double x = plot_x(axes, pow(10, power));

        plot_line(to, x, axes->y, x, axes->y + PLOT_HEIGHT, "stroke=\"#ddd\"");
        snprintf(text, sizeof text, "%.0f", pow(10, power));
        plot_text(to, x, axes->y + PLOT_HEIGHT + 16, "middle", INK, text);
    }
    for (double power = axes->bottom; power <= axes->top; power++) {
        double y = plot_y(axes, pow(10, power));

        plot_line(to, PLOT_MARGIN, y, PLOT_MARGIN + PLOT_WIDTH, y, "stroke=\"#ddd\"");
        snprintf(text, sizeof text, "%g", pow(10, power));
        plot_text(to, PLOT_MARGIN - 6, y + 4, "end", INK, text);
    }
    plot_text(to, PLOT_MARGIN, axes->y - 10, "start", INK, title);
    plot_text(to, PLOT_MARGIN + PLOT_WIDTH / 2, axes->y + PLOT_HEIGHT + 34, "middle", INK, "requests a day");
}

void plot_line(struct cairn_buf *to, double x1, double y1, double x2, double y2, const char *style)
{
    cairn_buf_printf(to, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1, y1, x2, y2, style);
}

void plot_legend(struct cairn_buf *to, double *y, const char *style, const char *text)
{
    plot_line(to, PLOT_MARGIN + PLOT_WIDTH + 20, *y, PLOT_MARGIN + PLOT_WIDTH + 44, *y, style);
    plot_text(to, PLOT_MARGIN + PLOT_WIDTH + 50, *y + 4, "start", INK, text);
    *y += PLOT_LEGEND_STEP;
}

void plot_text(struct cairn_buf *to, double x, double y, const char *anchor, const char *color, const char *text)
{
    cairn_buf_printf(to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\">", x, y, anchor, color);
    add_escaped(to, text);
    cairn_buf_str(to, "</text>\n");
}
