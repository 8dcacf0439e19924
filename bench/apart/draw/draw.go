package main

import (
	"bytes"
	"fmt"
	"image/color"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	vgdraw "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"corsfilter/bench/figures"
)

// draw returns the pictures by the names that the page has for them.
func draw(data *figures.Data) (map[string][]byte, error) {
	pictures := map[string][]byte{}
	add := func(name string, p *plot.Plot, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if pictures[name], err = svg(p); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	for _, picture := range figures.BarPictures {
		if contests := picture.Of(data); len(contests) > 0 {
			p, err := bars(picture, contests)
			if err := add(picture.Name, p, err); err != nil {
				return nil, err
			}
		}
	}
	for i, s := range data.Growth {
		p, err := curve(s)
		if err := add(figures.GrowthPicture(i), p, err); err != nil {
			return nil, err
		}
	}
	return pictures, nil
}

const width, height, margin = 18 * vg.Centimeter, 9 * vg.Centimeter, 0.4 * vg.Centimeter

// microseconds are easier to read than nanoseconds on an axis.
func microseconds(ns float64) float64 { return ns / 1000 }

// bars draws contests side by side: a group for each, a bar for each contender,
// as high as its median, with its quartiles as a whisker.
func bars(picture figures.BarPicture, contests []figures.Contest) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = picture.Title
	p.Y.Label.Text = "µs per request"
	p.Y.Min = 0
	if strings.Contains(figures.LoadName(contests[0]), "\n") {
		p.X.Label.Text = "origins of the policy"
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.Add(plotter.NewGrid())
	contenders := len(contests[0].Contenders)
	const group = 0.8 // of the distance between two groups
	var labels []string
	for _, c := range contests {
		labels = append(labels, figures.LoadName(c))
	}
	top := 0.0
	for k := range contenders {
		var values plotter.Values
		whiskers := whiskers{}
		at := func(i int) float64 { return float64(i) + group*((float64(k)+0.5)/float64(contenders)-0.5) }
		for i, c := range contests {
			s := c.Contenders[k].NS
			values = append(values, microseconds(s.Median))
			whiskers.XYs = append(whiskers.XYs, plotter.XY{X: at(i), Y: microseconds(s.Median)})
			whiskers.YErrors = append(whiskers.YErrors, struct{ Low, High float64 }{microseconds(s.Median - s.Q1), microseconds(s.Q3 - s.Median)})
			top = max(top, microseconds(s.Q3))
		}
		bar, err := plotter.NewBarChart(values, width*0.85*vg.Length(group)/vg.Length(contenders*len(contests)))
		if err != nil {
			return nil, err
		}
		bar.XMin, bar.Color, bar.LineStyle.Width = at(0), plotutil.SoftColors[k%len(plotutil.SoftColors)], 0
		errorBars, err := plotter.NewYErrorBars(whiskers)
		if err != nil {
			return nil, err
		}
		p.Add(bar, errorBars)
		p.Legend.Add(contests[0].Contenders[k].Name, bar)
	}
	p.NominalX(labels...)
	p.Y.Max = top * (1.1 + 0.08*float64(contenders)) // room for the legend
	p.X.Min, p.X.Max = -0.5, float64(len(contests))-0.5
	return p, nil
}

type whiskers struct {
	plotter.XYs
	plotter.YErrors
}

// curve draws how the time grows, with logarithmic sizes.
func curve(s figures.Series) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = s.Case + ", by " + s.Of
	p.X.Label.Text = s.Unit
	p.Y.Label.Text = "µs per request"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, powers{}
	p.Add(plotter.NewGrid())
	points := whiskers{}
	var high []float64
	for _, point := range s.Points {
		points.XYs = append(points.XYs, plotter.XY{X: float64(point.N), Y: microseconds(point.NS.Median)})
		points.YErrors = append(points.YErrors, struct{ Low, High float64 }{microseconds(point.NS.Median - point.NS.Q1), microseconds(point.NS.Q3 - point.NS.Median)})
		high = append(high, microseconds(point.NS.Q3))
	}
	line, dots, err := plotter.NewLinePoints(points.XYs)
	if err != nil {
		return nil, err
	}
	line.Color, dots.Color = plotutil.DarkColors[0], color.Black
	errorBars, err := plotter.NewYErrorBars(points)
	if err != nil {
		return nil, err
	}
	p.Add(line, dots, errorBars)
	p.Y.Min, p.Y.Max = 0, 1.2*slices.Max(high)
	return p, nil
}

// powers marks the powers of ten.
type powers struct{}

func (powers) Ticks(low, high float64) (ticks []plot.Tick) {
	for v := 1.0; v <= high; v *= 10 {
		if v >= low {
			ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%.0f", v)})
		}
	}
	return ticks
}

func svg(p *plot.Plot) ([]byte, error) {
	canvas := vgsvg.New(width, height)
	// A background, so that it can be read on a dark page too.
	canvas.SetColor(color.White)
	canvas.Fill(vg.Rectangle{Max: vg.Point{X: width, Y: height}}.Path())
	p.BackgroundColor = color.White
	p.Draw(vgdraw.Crop(vgdraw.New(canvas), margin, -2*margin, margin, -margin))
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
